// The one file: the pad with the networks that stand in the page. `hdr` is there for scripts of one's own.

const data = JSON.parse(document.getElementById('data').textContent)
use_constants(data.constants)
const recognizers = {}
for (const [name, network] of Object.entries(data.networks)) recognizers[name] = new Recognizer(new Network(network))
document.body.classList.toggle('framed', window.parent !== window)
const pad = mount_pad(document.getElementById('pad'), recognizers, {page: true})

globalThis.hdr = {pad, recognizers,
  classify(rgba, height, width, name = 'reader') {  // pixels of a picture, four bytes each
    const notes = [], grey = to_grey(rgba, height, width, notes)
    return recognizers[name].classify(grey, notes)
  }}
