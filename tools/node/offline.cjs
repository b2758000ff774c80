// Loaded before a linter (`NODE_OPTIONS=--require`): a check needs nothing from outside, sends nothing there, and gives
// the same result on a machine without a network.
"use strict";

const net = require("node:net");

net.Socket.prototype.connect = function connect() {
  throw new Error("this check must not use the network");
};
