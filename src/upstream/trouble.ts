import { Failure } from '../chat/failure.ts'

/** What a socket's error means to a person. `answering`: part of the answer was already there. */
export function brokenConnection(place: string, error: Error & { code?: unknown }, answering: boolean): Failure {
  // An abort's code is a number.
  const code = typeof error.code === 'string' ? error.code : ''
  const known = CONNECTION_TEXT[code]
  if (known !== undefined) {
    return new Failure('upstream-down', `Cannot connect to ${place}: ${known}.`, {
      code,
      cause: error,
      recommendations: ['Is it running? Check the address in api_base, and the tunnel if there is one.']
    })
  }
  if (code.startsWith('ERR_TLS') || code.includes('CERT')) {
    return new Failure('upstream-down', `Cannot trust ${place}: its TLS certificate was refused (${code}).`, {
      code,
      cause: error,
      recommendations: ['Set NODE_EXTRA_CA_CERTS to the certificate of its authority.']
    })
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) {
    return new Failure('upstream-down', `Cannot connect to ${place}: it does not speak TLS as api_base says.`, {
      code,
      cause: error,
      recommendations: ['Write http:// in api_base if the server has no TLS.']
    })
  }
  const when = answering ? 'in the middle of its answer' : 'before it answered'
  return new Failure('upstream-down', `${place} broke the connection ${when}.`, {
    code: code || 'connection_broken',
    cause: error
  })
}

const CONNECTION_TEXT: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ENOTFOUND: 'the host name is unknown',
  EAI_AGAIN: 'the host name could not be looked up',
  EHOSTUNREACH: 'the host is unreachable',
  ENETUNREACH: 'the network is unreachable',
  ETIMEDOUT: 'the connection timed out',
  EADDRNOTAVAIL: 'no local address is left',
  UND_ERR_CONNECT_TIMEOUT: 'the connection timed out'
}
