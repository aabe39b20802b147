// The suite of cache-tests.fyi (npm package http-cache-tests) against a region: its origin, its API and its sum. Owns what counts as
// passed; installing, starting and stopping is the business of ops/cache-tests.
//
//   node cache_suite.mjs ports               two free ports, each the first of a block for `tidegate dev`
//   node cache_suite.mjs origin PACKAGE      serves the suite's origin on 127.0.0.1 and prints its port
//   node cache_suite.mjs run PACKAGE DEV PORT   DEV is dev.json of the region, PORT that of the origin

import crypto from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

// Below these the run fails; the suite's optional behaviours count as `optimal`.
const REQUIRED_MIN = 140
const FAILED_MAX = 5
const OPTIMAL_MIN = 75
const READY_MS = 20_000

const [verb, ...words] = process.argv.slice(2)
const verbs = { ports, origin, run }
if (!verbs[verb]) {
  console.error(fs.readFileSync(process.argv[1], 'utf8').split('\n').filter(line => line.startsWith('//')).join('\n'))
  process.exit(2)
}
await verbs[verb](...words)

function load (folder, file) {
  return import(pathToFileURL(path.resolve(folder, file)))
}

// The ports that a region of one zone takes, counted from `--port` and from `--gateway-port`.
async function ports () {
  const found = []
  for (const offsets of [[0, 1, 51], [0, 1, 40, 41, 90]]) {
    let first
    do {
      first = crypto.randomInt(11_000, 30_900)
    } while (found.some(other => Math.abs(other - first) < 100) || !await areFree(offsets.map(offset => first + offset)))
    found.push(first)
  }
  console.log(...found)
}

async function areFree (wanted) {
  for (const port of wanted) {
    const isFree = await new Promise(resolve => {
      const probe = net.createServer()
      probe.once('error', () => resolve(false))
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
    })
    if (!isFree) return false
  }
  return true
}

// The suite's own server listens on all addresses, so its handlers get one that does not.
async function origin (folder) {
  const names = ['config', 'test', 'state']
  const modules = await Promise.all(names.map(name => load(folder, `server/handle-${name}.mjs`)))
  const handlers = Object.fromEntries(names.map((name, at) => [name, modules[at].default]))
  const server = http.createServer((request, response) => {
    const [, name, ...rest] = new URL(request.url, 'http://origin/').pathname.split('/')
    if (handlers[name]) return handlers[name](rest, request, response)
    response.writeHead(404).end()
  })
  server.listen(0, '127.0.0.1', () => console.log(server.address().port))
}

async function run (folder, devFile, originPort) {
  const dev = JSON.parse(fs.readFileSync(devFile))
  const base = await deploy(dev, `http://127.0.0.1:${originPort}`)
  const { default: suites } = await load(folder, 'tests/index.mjs')
  const { runTests, getResults } = await load(folder, 'client/runner.mjs')
  const fetch = createRequire(path.resolve(folder, 'package.json'))('node-fetch')
  await runTests(suites, fetch, false, base)
  process.exit(sumUp(suites, getResults()) ? 0 : 1)
}

// An API with the suite's tests below /test, cached as HTTP defines it, and its way to configure them beside that, not cached.
async function deploy (dev, upstream) {
  const call = (method, target, body) => control(dev, method, target, body)
  const method = (at, more) => ({
    'x-amazon-apigateway-any-method': {
      ...more,
      parameters: [{ name: 'p', in: 'path', required: true, schema: { type: 'string' } }],
      responses: {},
      'x-amazon-apigateway-integration': {
        type: 'http_proxy',
        httpMethod: 'ANY',
        uri: `${upstream}${at}/{p}`,
        requestParameters: { 'integration.request.path.p': 'method.request.path.p' }
      }
    }
  })
  const api = await call('POST', '/restapis?mode=import', {
    openapi: '3.0.1',
    info: { title: 'cache-tests', version: '1' },
    'x-tidegate-cache': 'rfc9111',
    paths: { '/test/{p+}': method('/test', {}), '/{p+}': method('', { 'x-tidegate-cache': 'off' }) }
  })
  const { id: deploymentId } = await call('POST', `/restapis/${api.id}/deployments`, {})
  // The suite's answers set cookies, and are for all who ask.
  const tags = { 'tidegate:cache-set-cookie': 'true' }
  await call('POST', `/restapis/${api.id}/stages`, { stageName: 's', deploymentId, tags })
  const base = `${dev.nodes[0].gateway}/_aws/execute-api/${api.id}/s`
  const deadline = Date.now() + READY_MS
  while ((await fetch(`${base}/state/none`)).status !== 404) {
    if (Date.now() > deadline) throw new Error(`the API is not served after ${READY_MS / 1000} s: ${base}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  return base
}

// A signed call of the control plane (Signature Version 4).
async function control (dev, method, target, document) {
  const [at, query = ''] = target.split('?')
  const body = JSON.stringify(document)
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  const headers = { host: new URL(dev.control).host, 'x-amz-date': date }
  const sha256 = text => crypto.createHash('sha256').update(text).digest('hex')
  const hmac = (key, text) => crypto.createHmac('sha256', key).update(text).digest()
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`).join('')
  const names = Object.keys(headers).join(';')
  const scope = [date.slice(0, 8), dev.region, 'apigateway', 'aws4_request']
  const request = [method, at, query, lines, names, sha256(body)].join('\n')
  const key = scope.reduce(hmac, `AWS4${dev.secret_access_key}`)
  const text = ['AWS4-HMAC-SHA256', date, scope.join('/'), sha256(request)].join('\n')
  const signature = hmac(key, text).toString('hex')
  const credential = `${dev.access_key_id}/${scope.join('/')}`
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`
  const answer = await fetch(dev.control + target, { method, headers, body })
  const found = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${target}: ${answer.status} ${found}`)
  return JSON.parse(found)
}

// Prints what did not pass and the sum; whether that is good enough.
function sumUp (suites, results) {
  const sum = { required: 0, setup: 0, failed: 0, optimal: 0, all: 0, optimalAll: 0 }
  for (const test of suites.flatMap(suite => suite.tests)) {
    const result = results[test.id]
    const kind = test.kind ?? 'required'
    if (test.browser_only) continue
    if (kind === 'optimal') {
      sum.optimalAll++
      sum.optimal += result === true
    }
    if (kind !== 'required') continue
    sum.all++
    if (result === true) {
      sum.required++
      continue
    }
    // What could not be set up says nothing about what it wanted to see: mostly the optional behaviour that it begins with.
    const isSetup = result === undefined || result[0] === 'Setup'
    isSetup ? sum.setup++ : sum.failed++
    console.log(isSetup ? 'not set up' : 'failed', test.id, JSON.stringify(result?.[1] ?? result ?? 'no result'))
  }
  console.log(`not set up ${sum.setup}, optimal of ${sum.optimalAll}`)
  console.log(`required ${sum.required}/${sum.all} failed ${sum.failed} optimal ${sum.optimal}`)
  return sum.required >= REQUIRED_MIN && sum.failed <= FAILED_MAX && sum.optimal >= OPTIMAL_MIN
}
