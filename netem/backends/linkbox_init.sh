#!/bin/sh
# The first process of the link box: cross-connect vec0 and vec1, vec2 and vec3 and so on, then take
# tc commands on ttyS0.
# The host's root is the box's root, read-only. The box lives while somebody holds the other end.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
fail() { echo "FATAL $1"; echo o > /proc/sysrq-trigger; sleep 10; }

# Through ld.so: a setuid mount of an unmapped owner would give up root in a user namespace.
mount="/lib64/ld-linux-x86-64.so.2 $(command -v mount)"
$mount -t proc proc /proc
$mount -t sysfs sys /sys
$mount -t devtmpfs dev /dev
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
stty -echo -icrnl -onlcr

# Without it tc would silently use wrong units: a delay of 10 ms would become 0.64 ms.
[ -r /proc/net/psched ] || fail "/proc/net/psched is not readable"
modules=/usr/lib/uml/modules/$(uname -r)
for module in sch_netem sch_ingress cls_matchall act_mirred; do
    grep -qs "/$module\.ko" "$modules/modules.builtin" && continue
    insmod "$modules/kernel/net/sched/$module".ko* || fail "insmod $module from $modules"
done

connect() {
    ethtool -K "$1" gro off \
        && ip link set "$1" up promisc on \
        && tc qdisc add dev "$1" ingress \
        && tc filter add dev "$1" parent ffff: matchall action mirred egress redirect dev "$2" \
        || fail "cannot connect $1 to $2"
}
near=0
while [ -e "/sys/class/net/vec$near" ]; do
    connect "vec$near" "vec$((near + 1))"
    connect "vec$((near + 1))" "vec$near"
    near=$((near + 2))
done
echo READY
tc -j -force -batch -
echo o > /proc/sysrq-trigger
sleep 10
