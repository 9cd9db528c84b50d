#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
# First process of a virtual machine: loads what reaches the host, then is
# the whole system (bed=fast) or goes on into the disk's (bed=root).

/bin/busybox mkdir -p /proc /sys /dev /tmp /run /root /sbin /usr/sbin \
	/usr/bin /etc /mnt /srv
/bin/busybox --install -s /bin
/bin/busybox ln -s /bin/modprobe /sbin/modprobe # for the kernel
export PATH=/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
echo "bed: user space" >/dev/console
while read -r m; do
	insmod "$m"
done </modules

case $(cat /proc/cmdline) in
*bed=root*)
	mkdir -p /new
	# The disk may show up a moment later.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		mount -t ext4 /dev/vda /new && break
		sleep 0.3
	done
	cp /agent.sh /new/sbin/bed-agent
	chmod 755 /new/sbin/bed-agent
	level=$(sed -n 's/.*bed=root,\([0-9]\).*/\1/p' /proc/cmdline)
	for d in proc sys dev; do
		mount --move /$d /new/$d
	done
	exec switch_root /new /sbin/init "$level"
	;;
esac

mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
ln -s /proc/self/fd /dev/fd
printf 'root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n' \
	>/etc/passwd
printf 'root:x:0:\nuser:x:1000:\n' >/etc/group
ifconfig lo 127.0.0.1 up
exec sh /agent.sh
