/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

int memfd_new(const char *name, size_t size, struct err *err)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
	int code;

	/* Kernels before 6.3 do not know that flag; some of the later ones
	 * (vm.memfd_noexec = 2) insist on it. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	if (fd < 0)
		return err_set(err, errno, "memfd_create(%s)", name);
	if (ftruncate(fd, (off_t)size) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
		return fd;
	code = errno;
	close(fd);
	return err_set(err, code, "memfd %s of %zu bytes", name, size);
}

void memfd_seal_writes(int fd)
{
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
}

int memfd_size(int fd, size_t *size_r, struct err *err)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0)
		return err_set(err, errno, "descriptor %d is no memfd", fd);
	if (!(seals & F_SEAL_SHRINK))
		return err_set(err, 0, "memfd %d may shrink", fd);
	if (fstat(fd, &st) < 0)
		return err_set(err, errno, "fstat(%d)", fd);
	*size_r = (size_t)st.st_size;
	return 0;
}
