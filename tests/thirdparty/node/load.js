// Loads a published npm package, unchanged, under plain Node: `webex` 3 and 2, or `ciscospark`.
//
// Three modules of `webex` 3 are for browsers only and fail at load in Node (`window is not defined`, imports without
// file extensions); they are answered with {}. Everything else is the package's own. Where the cloud is, the packages
// read from these variables, once, while they load. WEBEX_NODE_MODULES says where npm put them.
'use strict';
const Module = require('module');
const path = require('path');

const BROWSER_ONLY = ['@webex/plugin-meetings', '@webex/contact-center', '@webex/calling'];

const cloudIs = (base) => Object.assign(process.env, {
  HYDRA_SERVICE_URL: `${base}/v1`,
  U2C_SERVICE_URL: `${base}/u2c/api/v1`,
  WDM_SERVICE_URL: `${base}/wdm/api/v1`, // of `ciscospark`, which knows no catalog
  CONVERSATION_SERVICE_URL: `${base}/conversation/api/v1`,
  SQDISCOVERY_SERVICE_URL: `${base}/sqdiscovery`,
  IDBROKER_BASE_URL: base,
  IDENTITY_BASE_URL: base,
  METRICS_SERVICE_URL: `${base}/metrics/api/v1`,
});
exports.cloudIs = cloudIs;

exports.load = function load(base, name = 'webex') {
  cloudIs(base);
  const root = process.env.WEBEX_NODE_MODULES;
  if (require(path.join(root, name, 'package.json')).version.startsWith('3.')) {
    const original = Module._load;
    Module._load = function hooked(request, ...rest) {
      if (BROWSER_ONLY.some((each) => request === each || request.startsWith(`${each}/`))) return {};
      return original.call(this, request, ...rest);
    };
  }
  const loaded = require(path.join(root, name));
  return loaded.default || loaded;
};
