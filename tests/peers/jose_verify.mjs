// jose_verify.mjs MODULES PUBLIC-KEY.pem ISSUER < ASSERTIONS: verifies ES256 assertions, one a line, with the npm package jose of the
// folder MODULES. Prints for each {"header":…,"claims":…} or {"fault":…}.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, keyFile, issuer] = process.argv.slice(2);
const { importSPKI, jwtVerify } = await import(pathToFileURL(createRequire(`${modules}/`).resolve('jose')));
const key = await importSPKI(fs.readFileSync(keyFile, 'utf8'), 'ES256');
for (const assertion of fs.readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
  try {
    const rules = { algorithms: ['ES256'], typ: 'JWT', issuer, subject: issuer, requiredClaims: ['exp'] };
    const { protectedHeader, payload } = await jwtVerify(assertion, key, rules);
    console.log(JSON.stringify({ header: protectedHeader, claims: payload }));
  } catch (e) {
    console.log(JSON.stringify({ fault: e.code ?? String(e) }));
  }
}
