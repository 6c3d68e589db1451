// The JavaScript Sigstore libraries as a command, for `xtask interop`: sign or verify one bundle
// with an instance that a client trust configuration describes, or attach one to an image. Used as
// they are; nothing of the protocol is written here.
//
//   node sigstore.mjs sign   --trust-config F --log 1|2 --token T --bundle OUT [--payload-type T] FILE
//   node sigstore.mjs verify --trust-config F --identity I --issuer U --bundle B FILE
//   node sigstore.mjs attach --bundle B [--user U --password P] NAME@DIGEST
//
// With `--payload-type`, FILE is signed as the payload of a DSSE envelope. Verifying a bundle with
// an envelope prints the payload, which the caller compares.

import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { bundleFromJSON, bundleToJSON } from '@sigstore/bundle';
import { attachArtifactToImage } from '@sigstore/oci';
import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import { bundleBuilderFromSigningConfig } from '@sigstore/sign';
import { Verifier, toSignedEntity, toTrustMaterial } from '@sigstore/verify';

const json = (path) => JSON.parse(readFileSync(path, 'utf8'));

// Several options at the same log version: the configuration with only that log in it.
function signingConfig(trustConfig, logVersion) {
  const config = structuredClone(trustConfig.signingConfig);
  config.rekorTlogUrls = config.rekorTlogUrls.filter(
    (service) => service.majorApiVersion === logVersion
  );
  if (config.rekorTlogUrls.length === 0) {
    throw new Error(`the trust configuration names no log with API version ${logVersion}`);
  }
  return SigningConfig.fromJSON(config);
}

async function sign(options, file) {
  const payloadType = options['payload-type'];
  const builder = bundleBuilderFromSigningConfig({
    signingConfig: signingConfig(json(options['trust-config']), Number(options.log)),
    identityProvider: { getToken: async () => options.token },
    bundleType: payloadType ? 'dsseEnvelope' : 'messageSignature',
  });
  const bundle = await builder.create({ data: readFileSync(file), type: payloadType });
  writeFileSync(options.bundle, JSON.stringify(bundleToJSON(bundle)));
}

function verify(options, file) {
  const root = TrustedRoot.fromJSON(json(options['trust-config']).trustedRoot);
  const bundle = bundleFromJSON(json(options.bundle));
  const exactly = options.identity.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  new Verifier(toTrustMaterial(root)).verify(toSignedEntity(bundle, readFileSync(file)), {
    subjectAlternativeName: `^${exactly}$`,
    extensions: { issuer: options.issuer },
  });
  if (bundle.content.$case === 'dsseEnvelope') {
    process.stdout.write(bundle.content.dsseEnvelope.payload);
  }
}

// With the annotations that CI jobs on GitHub give their attestations.
async function attach({ bundle: path, user, password }, image) {
  const [imageName, imageDigest] = image.split('@');
  const bundle = json(path);
  const statement = JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, 'base64'));
  await attachArtifactToImage({
    imageName,
    imageDigest,
    credentials: user && { username: user, password },
    artifact: readFileSync(path),
    mediaType: bundle.mediaType,
    annotations: {
      'dev.sigstore.bundle.content': 'dsse-envelope',
      'dev.sigstore.bundle.predicateType': statement.predicateType,
    },
  });
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(
    [
      ...['trust-config', 'log', 'token', 'bundle', 'payload-type', 'identity', 'issuer'],
      ...['user', 'password'],
    ].map((name) => [name, { type: 'string' }])
  ),
});
const [command, subject] = positionals;
try {
  if (command === 'sign') {
    await sign(values, subject);
  } else if (command === 'verify') {
    verify(values, subject);
  } else if (command === 'attach') {
    await attach(values, subject);
  } else {
    throw new Error('sign, verify or attach?');
  }
} catch (error) {
  for (let cause = error; cause; cause = cause.cause) {
    console.error(`${cause.name}: ${cause.message}${cause.code ? ` (${cause.code})` : ''}`);
  }
  process.exitCode = 1;
}
