#!/bin/sh
# The first process of the link box: cross-connect vec0 and vec1, vec2 and vec3 and so on, then take
# tc commands on ttyS0.
# The host's root is the box's root, read-only. The box lives while somebody holds the other end.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
fail() { echo "FATAL $1"; echo o > /proc/sysrq-trigger; sleep 10; }

# Through ld.so: a setuid mount of an unmapped owner would give up root in a user namespace.
/lib64/ld-linux-x86-64.so.2 "$(command -v mount)" -t proc proc /proc
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
stty -echo -icrnl -onlcr

# Without it tc would silently use wrong units: a delay of 10 ms would become 0.64 ms.
[ -r /proc/net/psched ] || fail "/proc/net/psched is not readable"
read -r release < /proc/sys/kernel/osrelease
modules=/usr/lib/uml/modules/$release
for module in sch_netem sch_ingress cls_matchall act_mirred; do
    for file in "$modules/kernel/net/sched/$module".ko*; do
        if [ -e "$file" ]; then
            insmod "$file"
        else
            grep -qs "/$module\.ko" "$modules/modules.builtin"
        fi || fail "insmod $module from $modules"
    done
done

# Each program takes the box a while to start: ip and tc are started once for all interfaces.
connect() {
    ethtool -K "$1" gro off || fail "ethtool -K $1 gro off"
    links="${links}link set $1 up promisc on
"
    rules="${rules}qdisc add dev $1 ingress
filter add dev $1 parent ffff: matchall action mirred egress redirect dev $2
"
}
near=0
while [ -e "/proc/sys/net/ipv4/conf/vec$near" ]; do
    connect "vec$near" "vec$((near + 1))"
    connect "vec$((near + 1))" "vec$near"
    near=$((near + 2))
done
echo "$links" | ip -batch - && echo "$rules" | tc -batch - || fail "cannot connect the interfaces"
echo READY
tc -j -force -batch -
echo o > /proc/sysrq-trigger
sleep 10
