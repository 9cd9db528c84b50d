// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/*
 * fuzzdev SECONDS [SEED]: calls /dev/splxmod at random, with arguments that are
 * wrong, half right and right, from several threads of several processes that
 * share some descriptors, fork and are killed, while others open files. Judged
 * from outside: the machine lives, the module can be unloaded, nothing leaks.
 * Here: in the end a plain question is asked and answered.
 */
#include <pthread.h>
#include <sys/prctl.h>

#include "dev.h"

#define FILES 24
#define OPENERS 6
#define FUZZERS 4
#define THREADS 3
#define DESCRIPTORS 6

/* ---- chance ---- */

static _Thread_local unsigned long long chance;

static unsigned int random_below(unsigned int n)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (chance >> 11) % n;
}

static bool one_in(unsigned int n)
{
	return !random_below(n);
}

static void random_fill(void *p, size_t len)
{
	unsigned char *bytes = p;

	while (len--)
		*bytes++ = random_below(256);
}

/* One of what often is a bound, else anything. */
static unsigned long long random_number(void)
{
	static const unsigned long long odd[] = {
		0,
		1,
		2,
		3,
		4,
		7,
		8,
		15,
		16,
		63,
		64,
		99,
		100,
		4095,
		4096,
		4097,
		65535,
		65536,
		65537,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		0x100000000,
		0x7fffffffffffffff,
		0x8000000000000000,
		~0ull,
	};

	if (one_in(4))
		return chance;
	return odd[random_below(sizeof(odd) / sizeof(*odd))];
}

/* ---- shared by all ---- */

static struct shared {
	atomic_ulong opened, refused, calls, questions, verdicts;
	atomic_bool stop;
} * shared;

static const char *random_file(void)
{
	char name[8];

	snprintf(name, sizeof(name), "f%u", random_below(FILES));
	return path_of(name);
}

/* Pages of which the middle one cannot be touched: pointers near its edges
 * fault half-way. */
static char *arena;
static void *random_pointer(size_t len)
{
	switch (random_below(8)) {
	case 0:
		return (void *)(unsigned long)random_number();
	case 1: /* runs into the hole */
		return arena + 65536 - random_below(len + 1);
	case 2:
		return arena + 65536 + 4096 - random_below(64);
	default:
		return arena + 4096 * random_below(12) + 8 * random_below(16);
	}
}

/* ---- what is asked of the device ---- */

static int descriptor[DESCRIPTORS];

static void make_config(struct splxmod_config *c)
{
	*c = conf;
	c->classes = random_below(8) | (one_in(4) ? 0 : SPLXMOD_OPEN);
	c->deny = random_below(8);
	c->flags = random_below(2);
	c->method = random_below(3);
	c->verdict_timeout_ms = 100 + random_below(400);
	c->grace_ms = random_below(100);
	c->max_pending = 16 + random_below(64);
	c->max_close = 16 + random_below(64);
	c->breaker_timeouts = 1 + random_below(10);
	c->breaker_retry_ms = 100 + random_below(500);
	c->epoch = 1 + random_below(3);
	if (one_in(4))
		((__u32 *)c)[random_below(sizeof(*c) / 4)] = random_number();
}

static void make_rules(struct splxmod_rules *r)
{
	static _Thread_local struct splxmod_rule rules[8];
	struct stat st;

	/* One always keeps the rest of the machine out of it. */
	memset(rules, 0, sizeof(rules));
	check(!stat(DIR, &st));
	rules[0].kind = SPLXMOD_RULE_ONLY_DEV;
	rules[0].dev = st.st_dev;
	for (int i = 1; i < 8; i++) {
		rules[i].kind = 1 + random_below(7);
		if (rules[i].kind == SPLXMOD_RULE_ONLY_DEV)
			rules[i].kind = SPLXMOD_RULE_FSTYPE;
		if (rules[i].kind == SPLXMOD_RULE_FSTYPE)
			strcpy(rules[i].text, "no such type");
		else if (rules[i].kind != SPLXMOD_RULE_UID)
			rules[i].dev = st.st_dev;
		if (rules[i].kind != SPLXMOD_RULE_DEV)
			rules[i].ino = 1000 + random_below(1000);
		if (rules[i].kind == SPLXMOD_RULE_ONLY_BELOW) {
			rules[i].dev = 0;
			rules[i].ino = random_below(24);
		}
		if (one_in(8))
			random_fill(&rules[i], sizeof(rules[i]));
	}
	memset(r, 0, sizeof(*r));
	r->count = 1 + random_below(8);
	r->rules = (unsigned long)rules;
	if (one_in(4)) {
		/* no set at all would be right, and let us ask about all */
		r->count = random_number() ?: 1;
		r->rules = (unsigned long)random_pointer(4096);
		if (r->count <= SPLXMOD_RULES_MAX)
			r->reserved = 1;
	}
}

static void make_known(struct splxmod_known_list *l)
{
	static _Thread_local struct splxmod_known known[16];

	random_fill(known, sizeof(known));
	for (int i = 0; i < 16; i++) {
		known[i].reserved = one_in(50);
		known[i].ctime_nsec %= 1000000000;
	}
	memset(l, 0, sizeof(*l));
	l->epoch = 1 + random_below(3);
	l->count = random_below(17);
	l->known = (unsigned long)known;
	if (one_in(4)) {
		l->count = random_number();
		l->known = (unsigned long)random_pointer(4096);
	}
}

static void call_ioctl(int fd)
{
	static const unsigned long commands[] = {
		SPLXMOD_IOC_STATUS, SPLXMOD_IOC_CONFIG, SPLXMOD_IOC_RULES,
		SPLXMOD_IOC_KNOWN,  SPLXMOD_IOC_READER, SPLXMOD_IOC_EXEMPT,
		SPLXMOD_IOC_ARM,    SPLXMOD_IOC_DISARM, SPLXMOD_IOC_FLUSH,
	};
	unsigned long cmd = commands[random_below(9)];
	void *arg = random_pointer(_IOC_SIZE(cmd));
	union {
		struct splxmod_config config;
		struct splxmod_rules rules;
		struct splxmod_known_list known;
		struct splxmod_reader_setup reader;
		struct splxmod_exempt_setup exempt;
		struct splxmod_arming arming;
		struct splxmod_status status;
	} u;

	if (one_in(20)) {
		cmd = _IOC(random_below(4), SPLXMOD_IOC, random_below(12),
			   random_below(300));
	} else if (!one_in(4)) {
		memset(&u, 0, sizeof(u));
		arg = &u;
		if (cmd == SPLXMOD_IOC_CONFIG)
			make_config(&u.config);
		else if (cmd == SPLXMOD_IOC_RULES)
			make_rules(&u.rules);
		else if (cmd == SPLXMOD_IOC_KNOWN)
			make_known(&u.known);
		else if (cmd == SPLXMOD_IOC_READER)
			u.reader.classes = random_below(9);
		else if (cmd == SPLXMOD_IOC_EXEMPT)
			u.exempt.pid = one_in(8) ? random_below(3000) : 0;
		else if (one_in(4))
			u.arming.flags = random_below(3);
	}
	/* To disarm often would leave nothing to do. */
	if (cmd == SPLXMOD_IOC_DISARM && !one_in(10))
		return;
	/* The right ones of random bytes would be about the whole machine. */
	if (cmd == SPLXMOD_IOC_RULES && arg != &u)
		return;
	ioctl(fd, cmd, arg);
}

static struct splxmod_event events[64]; /* some that were read; by chance */

static void call_read(int fd)
{
	struct splxmod_event ev[4];
	ssize_t n;

	if (one_in(10)) {
		size_t len = random_below(2000);

		/* a descriptor that comes there is lost until we end */
		n = syscall(SYS_read, fd, random_pointer(len), len);
		return;
	}
	n = read(fd, ev, sizeof(ev[0]) * (1 + random_below(4)));
	for (int i = 0; i < n / (ssize_t)sizeof(ev[0]); i++) {
		atomic_fetch_add(&shared->questions, 1);
		events[random_below(64)] = ev[i];
		if (ev[i].fd >= 0)
			close(ev[i].fd);
		if (one_in(2)) {
			struct splxmod_verdict v = {.id = ev[i].id,
						    .epoch = random_below(4),
						    .verdict = one_in(8)};

			v.flags = v.verdict ? 0 : random_below(3);
			if (verdict_write(fd, &v) == 0)
				atomic_fetch_add(&shared->verdicts, 1);
		}
	}
}

static void call_write(int fd)
{
	struct splxmod_verdict v[8];

	if (one_in(10)) {
		size_t len = random_below(2000);

		syscall(SYS_write, fd, random_pointer(len), len);
		return;
	}
	for (int i = 0; i < 8; i++) {
		v[i] = (struct splxmod_verdict){
			.id = events[random_below(64)].id,
			.epoch = random_below(4),
			.verdict = one_in(8),
		};
		if (one_in(10))
			random_fill(&v[i], sizeof(v[i]));
		if (one_in(10))
			v[i].id ^= 1ull << random_below(64);
	}
	if (write(fd, v, sizeof(v[0]) * random_below(9)) > 0)
		atomic_fetch_add(&shared->verdicts, 1);
}

static void reopen(unsigned int i)
{
	struct splxmod_reader_setup setup = {.classes = 1 + random_below(7)};
	int fd =
		open(DEVICE, O_RDWR | O_CLOEXEC | (one_in(8) ? 0 : O_NONBLOCK));

	if (fd < 0)
		return;
	if (!one_in(3))
		ioctl(fd, SPLXMOD_IOC_READER, &setup);
	/* what was there is closed by this, perhaps while it is in use */
	dup2(fd, descriptor[i]);
	close(fd);
}

static void call_poll(int fd)
{
	struct pollfd p = {.fd = fd, .events = random_below(64)};

	poll(&p, 1, random_below(20));
}

/* A child that has all descriptors, uses one and ends; or is killed. */
static void call_fork(int fd)
{
	pid_t pid = fork();

	if (!pid) {
		chance ^= getpid();
		alarm(1);
		for (int i = random_below(10); i > 0; i--)
			call_read(fd);
		_exit(0);
	}
	if (pid < 0)
		return;
	if (one_in(2))
		kill(pid, one_in(2) ? SIGKILL : SIGSTOP);
	sleep_ms(random_below(10));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void call_one(void)
{
	unsigned int i = random_below(DESCRIPTORS);
	int fd = descriptor[i];

	atomic_fetch_add(&shared->calls, 1);
	switch (random_below(16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		call_read(fd);
		break;
	case 4:
	case 5:
	case 6:
		call_write(fd);
		break;
	case 7:
	case 8:
		call_poll(fd);
		break;
	case 9:
		reopen(i);
		break;
	case 10:
		if (one_in(10))
			call_fork(fd);
		break;
	case 11:
		if (one_in(4))
			arming(SPLXMOD_IOC_ARM);
		break;
	default:
		call_ioctl(fd);
	}
}

/* ---- who does it ---- */

static void *fuzz_thread(void *arg)
{
	chance = (unsigned long)arg * 0x9e3779b97f4a7c15ull | 1;
	while (!atomic_load(&shared->stop))
		call_one();
	return NULL;
}

static void interrupted(int sig)
{
	(void)sig;
}

static void fuzz_run(void *arg)
{
	struct sigaction sa = {.sa_handler = interrupted};
	unsigned long seed = (unsigned long)arg;
	pthread_t thread[THREADS];

	sigaction(SIGUSR1, &sa, NULL);
	chance = seed | 1;
	freopen("/dev/null", "w", stdout);
	for (int i = 0; i < DESCRIPTORS; i++) {
		descriptor[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		reopen(i);
	}
	for (unsigned long i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, fuzz_thread,
			       (void *)(seed * 16 + i));
	/* reads that block are woken */
	while (!atomic_load(&shared->stop)) {
		sleep_ms(20);
		for (int i = 0; i < THREADS; i++)
			pthread_kill(thread[i], SIGUSR1);
	}
	_exit(0);
}

static void open_run(void *arg)
{
	chance = (unsigned long)arg * 0x9e3779b97f4a7c15ull | 1;
	close(control);
	while (!atomic_load(&shared->stop)) {
		int fd = open(random_file(), one_in(3) ? O_RDWR : O_RDONLY);

		if (fd < 0) {
			atomic_fetch_add(&shared->refused, 1);
			continue;
		}
		atomic_fetch_add(&shared->opened, 1);
		if (one_in(8))
			pwrite(fd, one_in(2) ? "D" : "c", 1, 0);
		close(fd);
	}
}

/* Openers that are killed at any moment, and started again. */
static void killer_run(void *arg)
{
	chance = (unsigned long)arg | 1;
	while (!atomic_load(&shared->stop)) {
		pid_t pid = fork();

		if (!pid)
			open_run((void *)(unsigned long)chance);
		sleep_ms(random_below(30));
		if (pid > 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
	}
}

static void fuzz_tell(void)
{
	struct splxmod_status s = status();

	printf("state %u method %u readers %u pending %u calls %llu asked %llu "
	       "opened %lu\n",
	       s.state, s.method, s.readers, s.pending,
	       s.counter[SPLXMOD_COUNT_CALLS], s.counter[SPLXMOD_COUNT_ASKED],
	       shared->opened);
}

/* A child with its own: one that it had stopped would stay for ever. */
static pid_t family_start(void (*run)(void *arg), unsigned long seed)
{
	pid_t pid = child_start(run, (void *)seed);

	check(!setpgid(pid, pid));
	return pid;
}

static void family_kill(pid_t pid)
{
	kill(-pid, SIGKILL);
	child_kill(pid);
}

/* Fuzzers end with all that they hold, too. */
static void fuzz_all(unsigned long seed, long seconds)
{
	long until = now_ms() + seconds * 1000;
	pid_t fuzzer[FUZZERS], killer;

	/* who lost his parent is waited for here */
	check(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	for (unsigned int i = 0; i < FUZZERS; i++)
		fuzzer[i] = family_start(fuzz_run, seed + i);
	for (unsigned int i = 0; i < OPENERS; i++)
		child_start(open_run, (void *)(seed + 100 + i));
	killer = family_start(killer_run, seed + 200);
	while (now_ms() < until) {
		unsigned int i = random_below(FUZZERS);

		for (int n = 0; n < 5; n++) {
			sleep_ms(300);
			arming(SPLXMOD_IOC_ARM);
		}
		fuzz_tell();
		family_kill(fuzzer[i]);
		fuzzer[i] = family_start(fuzz_run, seed + random_below(1000));
	}
	for (unsigned int i = 0; i < FUZZERS; i++)
		family_kill(fuzzer[i]);
	family_kill(killer);
	atomic_store(&shared->stop, true);
	end_children();
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void still_works(void)
{
	struct serving how = {0};

	conf.epoch = 99;
	only_dir();
	configure();
	equal(arming(SPLXMOD_IOC_DISARM), 0);
	equal(arming(SPLXMOD_IOC_ARM), 0);
	file_make(path_of("good"), "good");
	file_make(path_of("bad"), "Doomed");
	reader_start(how);
	equal(open_once(path_of("good")), 0);
	equal(open_once(path_of("bad")), EPERM);
}

int main(int argc, char **argv)
{
	long seconds = argc > 1 ? atol(argv[1]) : 60;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 0)
				      : (unsigned long)time(NULL);
	char name[8];

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	arena = mmap(NULL, 65536 + 65536, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(shared != MAP_FAILED && arena != MAP_FAILED);
	check(!mprotect(arena + 65536, 4096, PROT_NONE));
	chance = seed | 1;
	begin();
	printf("seed %lu\n", seed);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		file_make(path_of(name), i % 4 ? "clean" : "Dirty");
	}
	fuzz_all(seed, seconds);
	still_works();
	end_children();
	printf("openers: %lu opened, %lu refused; %lu calls, %lu questions, "
	       "%lu verdicts\n",
	       shared->opened, shared->refused, shared->calls,
	       shared->questions, shared->verdicts);
	check_sum();
	end();
	return 0;
}
