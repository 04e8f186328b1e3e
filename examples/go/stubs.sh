#!/bin/sh
# Generates stubs/ from proto/ with protoc, protoc-gen-go and protoc-gen-go-grpc. `go generate` calls it.
set -eu
cd "$(dirname "$0")"
proto=../../proto
package=stillcue.example/generate/stubs
options=
for file in "$proto"/stillcue/v1/*.proto; do # the contract names no Go package, so it is named here for each file
  name=stillcue/v1/$(basename "$file")
  options="$options --go_opt=M$name=$package --go-grpc_opt=M$name=$package"
done
rm -rf stubs
mkdir stubs
# shellcheck disable=SC2086 # options are words
protoc -I "$proto" $options --go_out=. --go_opt=module=stillcue.example/generate \
  --go-grpc_out=. --go-grpc_opt=module=stillcue.example/generate "$proto"/stillcue/v1/*.proto
