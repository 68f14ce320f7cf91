// Loads the published npm package `webex`, unchanged, under plain Node.
//
// Three of its modules are for browsers only and fail at load in Node (`window is not defined`, imports without file
// extensions); they are answered with {}. Everything else is the package's own. Where the cloud is, the package reads
// from these variables, once, while it loads. WEBEX_NODE_MODULES says where npm put it.
'use strict';
const Module = require('module');
const path = require('path');

const BROWSER_ONLY = ['@webex/plugin-meetings', '@webex/contact-center', '@webex/calling'];

exports.load = function load(base) {
  Object.assign(process.env, {
    HYDRA_SERVICE_URL: `${base}/v1`,
    U2C_SERVICE_URL: `${base}/u2c/api/v1`,
    SQDISCOVERY_SERVICE_URL: `${base}/sqdiscovery`,
    IDBROKER_BASE_URL: base,
    IDENTITY_BASE_URL: base,
    METRICS_SERVICE_URL: `${base}/metrics/api/v1`,
  });
  const original = Module._load;
  Module._load = function hooked(request, ...rest) {
    if (BROWSER_ONLY.some((name) => request === name || request.startsWith(`${name}/`))) return {};
    return original.call(this, request, ...rest);
  };
  const loaded = require(path.join(process.env.WEBEX_NODE_MODULES, 'webex'));
  return loaded.default || loaded;
};
