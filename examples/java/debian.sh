#!/bin/sh
# Builds build/classes and build/classpath with Debian's packages alone, without Maven's central repository:
# default-jdk-headless protobuf-compiler protobuf-compiler-grpc-java-plugin libgrpc-java libnetty-java libprotobuf-java
# libperfmark-java libguava-java libgoogle-gson-java libgeronimo-annotation-1.3-spec-java
set -eu
cd "$(dirname "$0")"
rm -rf build
mkdir -p build/stubs build/classes
protoc -I ../../proto -I ../proto --java_out=build/stubs \
  --plugin=protoc-gen-grpc-java="$(command -v grpc_java_plugin)" --grpc-java_out=build/stubs \
  ../../proto/stillcue/v1/*.proto ../proto/google/rpc/stillcue_details.proto
classpath=$PWD/build/classes
for name in grpc-api grpc-context grpc-core grpc-netty grpc-protobuf grpc-protobuf-lite grpc-stub protobuf guava gson \
  perfmark-api netty-buffer netty-codec netty-codec-http netty-codec-http2 netty-codec-socks netty-common netty-handler \
  netty-handler-proxy netty-resolver netty-transport netty-transport-native-unix-common geronimo-annotation-1.3-spec; do
  classpath=$classpath:/usr/share/java/$name.jar
done
# shellcheck disable=SC2046 # one word for each file
javac -source 17 -target 17 -Xlint:none -cp "$classpath" -d build/classes $(find src build/stubs -name '*.java')
echo "$classpath" >build/classpath
