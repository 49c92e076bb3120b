// Has a server that knows no address listen on this machine alone: `node --import local.mjs SERVER`.
import { Server } from 'node:net';

const { listen } = Server.prototype;

Server.prototype.listen = function (port, ...rest) {
    return /^\d+$/.test(port) ? listen.call(this, Number(port), '127.0.0.1', ...rest) : listen.call(this, port, ...rest);
};
