#!/bin/sh
# Removes from node_modules what no program loads at run time: 330 MB become 166 MB on a disk.
#   prune-modules.sh DIRECTORY    the directory that has node_modules, after `npm ci --omit=dev`
# Licences and READMEs stay. `npm ci` brings everything back.
set -eu
cd "${1:?directory}/node_modules"

# An optional peer of @nestjs/swagger, which its plugin for compilers uses.
rm -rf typescript
# The same code again, for browsers and phones.
rm -rf typeorm/browser
find . -type d \( -path '*/dist/browser' -o -path '*/dist/react-native' -o -path '*/dist/workerd' \) -prune \
  -exec rm -rf {} +
# For debuggers, compilers and linkers.
find . -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.a' \) -delete
# Tests, and what compiles extensions of PostgreSQL.
rm -rf pino/test pino-pretty/test thread-stream/test @embedded-postgres/*/native/lib/postgresql/pgxs
