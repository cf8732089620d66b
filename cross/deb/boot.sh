#!/usr/bin/env bash
# Boots systemd as process 1 of a system in a directory, in namespaces of its own: cross/deb/boot.sh ROOT
#
# Needs root, and nothing else: no virtual machine, no container software. The system has no network but its own
# loopback. It ends with this process.
set -euo pipefail
root=$(realpath "$1")

# A group of its own in the second version's hierarchy, where that is, also beside the first one's.
hierarchy=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
[ -n "$hierarchy" ] || { echo "no cgroup2 is mounted: systemd can't run here" >&2; exit 1; }
group=$hierarchy/edgepool-boot-$$
mkdir "$group"
echo $$ >"$group/cgroup.procs"

inside() {
    local root=$1 device
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/tmp"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    mkdir "$root/dev/pts" "$root/dev/shm"
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    mount -t tmpfs tmpfs "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ip link set lo up
    cd "$root"
    pivot_root . mnt
    umount -l /mnt
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=no
}
export -f inside
exec unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child --propagation private bash -euc 'inside "$1"' bash "$root"
