// The one file: the pad with the networks that stand in the page. `hdr` is for scripts of one's own.

const data = JSON.parse(document.getElementById('data').textContent)
use_constants(data.constants)
const recognizers = recognizers_of(data.networks)
document.body.classList.toggle('framed', window.parent !== window)
const pad = mount_pad(document.getElementById('pad'), recognizers, {page: true})

globalThis.hdr = {pad, recognizers,
  async classify(file, name = 'reader') {  // a Blob or File with a picture
    const {grey, notes} = await picture_of(file)
    return recognizers[name].classify(grey, notes)
  }}
