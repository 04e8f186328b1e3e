// The contract, loaded from the .proto files, and the connection to one server.

import {fileURLToPath} from 'node:url';

import {Client, credentials, loadPackageDefinition, Metadata} from '@grpc/grpc-js';
import {loadSync, type MessageTypeDefinition} from '@grpc/proto-loader';

import type {ProtoGrpcType} from '../build/stubs/service.js';
import type {StillcueServiceClient} from '../build/stubs/stillcue/v1/StillcueService.js';
import {type Arguments, UsageError} from './arguments.js';

// Seen from build/src, where the compiler puts this file.
const folder = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

const definition = loadSync(['stillcue/v1/service.proto', 'google/rpc/stillcue_details.proto'], {
  includeDirs: [folder('../../proto'), folder('../proto')],
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
});

/** Decodes a message that is not the request or response of a method. */
export function decode<T extends object>(type: string, bytes: Buffer): T {
  return (definition[type] as MessageTypeDefinition<object, object>).deserialize(bytes) as T;
}

// gRPC receives at most 4 MiB by default; a PNG frame of 1280x720 can be larger.
const OPTIONS = {
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  // Less often than gRPC servers allow pings of a client that waits in their queue.
  'grpc.keepalive_time_ms': 310_000,
  'grpc.keepalive_timeout_ms': 20_000,
  // By default the pauses between attempts to connect grow to two minutes, longer than a resume window.
  'grpc.max_reconnect_backoff_ms': 2_000,
};

export class Connection {
  readonly stub: StillcueServiceClient;
  private readonly token: string | undefined;

  constructor(given: Arguments) {
    const isLocal = isThisMachine(given.server);
    const isEncrypted = given.tls ?? !isLocal;
    if (given.token !== undefined && !isEncrypted && !isLocal)
      throw new UsageError(`the token would cross the network to ${given.server} in plain text; leave out --plaintext`);
    if (given.token !== undefined && !/^[!-~]+$/.test(given.token))
      throw new UsageError('the token is empty or holds spaces or other characters that no token has');
    this.token = given.token;
    const {stillcue} = loadPackageDefinition(definition) as unknown as ProtoGrpcType;
    this.stub = new stillcue.v1.StillcueService(
      given.server,
      isEncrypted ? credentials.createSsl(given.rootCertificates) : credentials.createInsecure(),
      // A proxy of the environment would read the token of a call to this machine.
      isLocal ? {...OPTIONS, 'grpc.enable_http_proxy': 0} : OPTIONS,
    );
  }

  /** Metadata of a call; `replica` is the part of a resume token that a proxy routes by. */
  metadata(replica = ''): Metadata {
    const metadata = new Metadata();
    if (this.token !== undefined) metadata.set('authorization', `Bearer ${this.token}`);
    if (replica !== '') metadata.set('stillcue-replica', replica);
    return metadata;
  }

  close(): void {
    (this.stub as Client).close();
  }
}

/** True for an address on this machine. Names are not looked up: the answer could change. */
function isThisMachine(server: string): boolean {
  if (server.startsWith('unix:')) return true;
  const host = server.replace(/:\d+$/, '').toLowerCase();
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}
