// An identity provider for tests, on npm samlp: an implementation of SAML that
// shares no code with the service provider.
//
//   node server.js --acs URL [--sign-response] [--encrypt-for CERT] [--signed-by CERT]
//
// It listens on a free port of the loopback, prints "listening on URL", and ends
// when its standard input does. It knows three people and asks for no password.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { parseArgs } = require('node:util');
const samlp = require('samlp');

const issuer = 'urn:provision:test-idp';
const claims = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/';
const people = {
  ann: { id: '1001', email: 'ann@example.com', given: 'Ann', family: 'Adams', groups: ['Everyone', 'Engineering', 'Site Admins'] },
  ben: { id: '1002', email: 'ben@example.com', given: 'Ben', family: 'Brown', groups: ['Everyone', 'Engineering'] },
  eve: { id: '1003', email: 'eve@example.com', given: 'Eve', family: 'Élan & <Söhne>', groups: [] },
};

const { values: options } = parseArgs({ options: {
  acs: { type: 'string' },
  'sign-response': { type: 'boolean' },
  'encrypt-for': { type: 'string' },
  'signed-by': { type: 'string' },
} });
const testKeys = path.join(__dirname, '..', 'testkeys');
const cert = fs.readFileSync(path.join(testKeys, 'idp.crt'), 'ascii');
const key = fs.readFileSync(path.join(testKeys, 'idp.key'), 'ascii').replace(/^TEST KEY.*\n/, '');

// claimsOf is a profile mapper of samlp, which wants a plain function.
function claimsOf(person) {
  return {
    getClaims: () => ({
      [claims + 'nameidentifier']: person.id,
      [claims + 'emailaddress']: person.email,
      [claims + 'givenname']: person.given,
      [claims + 'surname']: person.family,
      [claims + 'name']: person.given + ' ' + person.family,
      'http://schemas.passportjs.com/groups': person.groups,
    }),
    getNameIdentifier: () => ({
      nameIdentifier: person.email,
      nameIdentifierFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
    }),
  };
}
claimsOf.prototype.metadata = [];

const settings = {
  issuer, cert, key,
  recipient: options.acs,
  destination: options.acs,
  lifetimeInSeconds: 300,
  profileMapper: claimsOf,
  signatureAlgorithm: 'rsa-sha256',
  digestAlgorithm: 'sha256',
  signResponse: options['sign-response'],
  getPostURL: (audience, request, req, done) => done(null, options.acs),
  getUserFromRequest: (req) => people[req.body.user],
};
if (options['encrypt-for']) {
  settings.encryptionCert = fs.readFileSync(options['encrypt-for'], 'ascii');
  settings.encryptionPublicKey = new (require('node:crypto').X509Certificate)(settings.encryptionCert)
    .publicKey.export({ type: 'spki', format: 'pem' });
  settings.encryptionAlgorithm = 'http://www.w3.org/2009/xmlenc11#aes256-gcm';
}
if (options['signed-by']) {
  settings.signingCert = fs.readFileSync(options['signed-by'], 'ascii');
}

const escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// form asks who it is. The request stays in the query or comes along hidden.
function form(req, res) {
  const hidden = ['SAMLRequest', 'RelayState'].filter((name) => req.body[name])
    .map((name) => `<input type="hidden" name="${name}" value="${escape(req.body[name])}">`).join('');
  res.send(`<!doctype html><title>Log in</title><form method="post" action="${escape(req.url)}">${hidden}` +
    '<input name="user"><button>Log in</button></form>');
}

function route(req, res, next) {
  const { pathname } = new URL(req.url, 'http://localhost');
  if (pathname === '/metadata') {
    samlp.metadata({ issuer, cert, profileMapper: claimsOf, redirectEndpointPath: '/sso', postEndpointPath: '/sso' })(req, res);
  } else if (pathname !== '/sso') {
    res.fail(404, 'not found');
  } else if (!req.body.user) {
    form(req, res);
  } else if (!Object.hasOwn(people, req.body.user)) {
    res.fail(403, 'nobody of this name');
  } else {
    samlp.auth(settings)(req, res, next);
  }
}

// samlp expects the requests and responses of express.
const server = http.createServer((req, res) => {
  const chunks = [];
  req.on('data', (chunk) => chunks.push(chunk));
  req.on('end', () => {
    req.query = Object.fromEntries(new URL(req.url, 'http://localhost').searchParams);
    req.body = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
    req.originalUrl = req.url;
    req.protocol = 'http';
    res.set = (name, value) => res.setHeader(name, value);
    res.send = (body) => { res.hasHeader('Content-Type') || res.setHeader('Content-Type', 'text/html'); res.end(body); };
    res.fail = (status, text) => { res.statusCode = status; res.end(text); };
    route(req, res, (err) => res.fail(400, String(err && err.message)));
  });
});
server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
process.stdin.on('end', () => process.exit(0)).resume();
