// Portkey listens on every interface and forwards wherever a header says. In a bench it is kept to this machine.
import { Server } from 'node:net'

const isCallback = value => typeof value === 'function'
const listen = Server.prototype.listen
Server.prototype.listen = function (port, ...rest) {
  return typeof port === 'number'
    ? listen.call(this, port, '127.0.0.1', ...rest.filter(isCallback))
    : listen.call(this, port, ...rest)
}
