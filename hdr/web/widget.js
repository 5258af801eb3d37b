// What anywidget calls: the pad or the viewer, in a cell of a notebook.

const bytes_of = view => view && view.byteLength ?
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : null

function render_pad(model, el) {
  use_constants(model.get('constants'))
  const recognizers = recognizers_of(model.get('networks'))
  const [h, w] = model.get('shape'), levels = bytes_of(model.get('levels'))
  const start = levels && start_item(picture(h, w, levels))
  const pad = mount_pad(el, recognizers, {start, said(answer, grey) {
    model.set('answer', answer ? {...answer, x: undefined} : {})
    model.set('shape', grey ? [grey.h, grey.w] : [0, 0])
    model.set('levels', new DataView(grey ? grey.a.slice().buffer : new ArrayBuffer(0)))
    model.save_changes()
  }})
  return pad.close
}

function start_item(grey) {  // a picture that Python has put there
  const canvas = made('canvas', {width: grey.w, height: grey.h}), context = canvas.getContext('2d')
  const data = context.createImageData(grey.w, grey.h)
  grey.a.forEach((v, i) => data.data.set([v, v, v, 255], 4*i))
  context.putImageData(data, 0, 0)
  return {grey, canvas, notes: []}
}

function render_viewer(model, el) {
  const seen = bytes_of(model.get('seen')) || new Uint8Array(0)
  const [picture, page, threshold] = ['picture', 'page', 'threshold'].map(name => model.get(name))
  mount_viewer(el, {picture, page, seen, threshold})
}

export default {render({model, el}) {
  const root = made('div')
  el.append(root)
  return (model.get('kind') === 'pad' ? render_pad : render_viewer)(model, root)
}}
