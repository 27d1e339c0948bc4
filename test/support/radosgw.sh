#!/bin/bash
# A real S3 server for tests: Ceph's radosgw with one monitor and one OSD that keeps objects in memory.
# It listens on loopback.
#   radosgw.sh start DIR RGW_PORT MON_PORT   returns when the server responds; all its files are in DIR
#   radosgw.sh stop DIR                      stops the server, even while it starts
# RADOSGW_BYTES is how much it holds (4 GiB), RADOSGW_GC_SECONDS when it frees what is deleted (after 30 s).
# The OSD chooses its ports between 6800 and 7300. Needs root and the Debian packages radosgw, ceph-mon,
# ceph-osd and ceph-common (--no-install-recommends). Keys: testkey, testsecret.
#
# Notes on the settings (radosgw 16 and 18):
# - tcp_nodelay reduces a GET from 47 ms to 5, and the paxos lines reduce the start from 12 s to 2.
# - Without the two `update on start` lines the OSD sometimes exits with "wrong fsid".
# - It responds 411 to the SDK's streamed checksums, so clients compute checksums only when required.
# - It refuses parts of less than 5 MiB, unless `rgw multipart min part size` is set.
# - One pool with one placement group each: more of them cost memory and seconds without a benefit for tests.
# - By default it collects deleted bytes hours later. The gc lines keep a long run small.
# - The daemons outlive their parent, so the caller must call `stop`. It kills them, because their data is not
#   needed. It finds processes by the environment variable with DIR, because pid files may be stale.
set -euo pipefail
verb=${1:?start or stop} dir=${2:?directory}

stop() {
  kill -KILL "$(cat "$dir/run/starter" 2>/dev/null)" 2>/dev/null || true
  local environment pid killed=() tries=0
  # Twice: the first round may have met a daemon that was just being started.
  for _ in 1 2; do
    for environment in $(grep -lzxF "CEPH_CONF=$dir/ceph.conf" /proc/[0-9]*/environ 2>/dev/null); do
      pid=${environment//[!0-9]/}
      [ "$pid" = $$ ] && continue
      kill -KILL "$pid" 2>/dev/null || continue
      killed+=("$pid")
    done
    sleep 0.1
  done
  for pid in "${killed[@]}"; do
    while kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do
      sleep 0.05
      tries=$((tries + 1))
    done
  done
}

if [ "$verb" = stop ]; then
  dir=$(cd "$dir" 2>/dev/null && pwd) || exit 0
  stop
  exit 0
fi

rgw_port=${3:?port of radosgw} mon_port=${4:?port of the monitor}
mkdir -p "$dir"/{mon,osd/0,run,log}
dir=$(cd "$dir" && pwd)
echo $$ >"$dir/run/starter"
export CEPH_CONF=$dir/ceph.conf
fsid=$(cat /proc/sys/kernel/random/uuid) osd=$(cat /proc/sys/kernel/random/uuid)
touch "$dir/keyring"
cat >"$CEPH_CONF" <<CONF
[global]
fsid = $fsid
mon initial members = a
mon host = v1:127.0.0.1:$mon_port
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 1000
mon osd min up ratio = 0
mon data avail crit = 1
mon memory target = 268435456
rocksdb cache size = 16777216
paxos propose interval = 0.05
paxos min wait = 0.01
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = ${RADOSGW_BYTES:-4294967296}
osd memory target = 939524096
osd max object name len = 2048
osd class update on start = false
osd crush update on start = false
osd class load list = *
osd class default list = *
osd max pg log entries = 100
osd min pg log entries = 50
run dir = $dir/run
admin socket = $dir/run/\$name.asok
pid file = $dir/run/\$name.pid
log file = $dir/log/\$name.log
log max recent = 100
crash dir = $dir/run
mon data = $dir/mon/\$id
osd data = $dir/osd/\$id
keyring = $dir/keyring
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:$rgw_port tcp_nodelay=1
rgw dns name = 127.0.0.1
rgw thread pool size = 32
rgw cache lru size = 1000
rgw multipart min part size = 1024
rgw enable usage log = false
rgw gc obj min wait = ${RADOSGW_GC_SECONDS:-30}
rgw gc processor period = ${RADOSGW_GC_SECONDS:-10}
rgw gc processor max time = 10
CONF

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
alive() { kill -0 "$(cat "$dir/run/$1.child")" 2>/dev/null; }
fail() {
  echo "radosgw did not start: $1" >&2
  tail -n 5 "$dir"/log/*.out >&2 || true
  rm "$dir/run/starter"
  stop
  exit 1
}
# Tries a command for ten seconds, as long as a daemon lives.
until_works() {
  local daemon=$1
  shift
  for _ in $(seq 100); do
    "$@" && return
    alive "$daemon" || break
    sleep 0.1
  done
  fail "$*"
}
daemon() {
  local name=$1
  shift
  setsid "$@" --setuser root --setgroup root >"$dir/log/$name.out" 2>&1 </dev/null &
  echo $! >"$dir/run/$name.child"
}
register_osd() { timeout 20 ceph osd new "$osd" >/dev/null 2>&1; }
osd_is_up() { timeout 20 ceph osd stat 2>/dev/null | grep -q '1 up'; }

monmaptool --create --fsid "$fsid" --addv a "[v1:127.0.0.1:$mon_port]" "$dir/monmap" >/dev/null
ceph-mon --mkfs -i a --monmap "$dir/monmap" --setuser root --setgroup root 2>"$dir/log/mkfs.out"
daemon mon ceph-mon -i a -f
until_works mon listens "$mon_port"
until_works mon register_osd
{
  ceph osd crush add-bucket local host
  ceph osd crush move local root=default
  ceph osd crush add osd.0 1 host=local
} >/dev/null 2>&1 || fail 'the map of the OSD'
ceph-osd -i 0 --mkfs --osd-uuid "$osd" --setuser root --setgroup root >"$dir/log/mkfs.out" 2>&1 ||
  fail 'mkfs of the OSD'
daemon osd ceph-osd -i 0 -f
until_works osd osd_is_up
daemon rgw radosgw -f -n client.rgw.a
until_works rgw listens "$rgw_port"
timeout 30 radosgw-admin user create --uid test --display-name test \
  --access-key testkey --secret-key testsecret >/dev/null 2>"$dir/log/admin.out" || fail 'its user'
rm "$dir/run/starter"
