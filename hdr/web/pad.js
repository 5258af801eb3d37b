// A drawing pad that says which digit it holds. `mount_pad` puts it into any element.

const pad_side = 192  // pixels that the recogniser gets of a drawing
const most_pixels = 64e6, sharp_pixels = 16e6, patience = 20000  // of photographs; milliseconds
const percent = p => p > 0 && p < .005 ? '<1%' : `${(100*p).toFixed(p > .995 && p < .9995 ? 1 : 0)}%`

function made(tag, known = {}, ...children) {
  const {style, ...rest} = known, one = Object.assign(document.createElement(tag), rest)
  Object.assign(one.style, style)
  one.append(...children)
  return one
}

const box = (className, tag = 'div', ...children) => made(tag, {className}, ...children)
const square = side => made('canvas', {width: side, height: side})

// Pictures out of files

function in_time(promise) {
  const late = new Promise((_, no) => setTimeout(() => no(new Error('takes too long: given up')), patience))
  return Promise.race([promise, late])
}

async function picture_of(file) {  // {grey, canvas, notes}, or an error with a word for people
  const name = file.name || 'what was pasted'
  if (!file.size) throw new Error(`${name}: an empty file`)
  if (file.type && !file.type.startsWith('image/')) throw new Error(`${name}: not a picture`)
  let seen
  try { seen = await in_time(createImageBitmap(file, {imageOrientation: 'from-image'})) }
  catch (e) {
    const late = e.message.startsWith('takes')
    throw new Error(`${name}: ${late ? e.message : 'no picture that this browser can read, or too large'}`)
  }
  const {width: w, height: h} = seen
  if (w*h > most_pixels) throw new Error(`${name}: ${w}x${h} are more than 64 million pixels`)
  try { return pixels_of(seen, w, h) }
  catch { throw new Error(`${name}: ${w}x${h} pixels are too many for this browser`) }
  finally { seen.close() }
}

function pixels_of(source, w, h) {
  const by = Math.min(1, Math.sqrt(sharp_pixels/(w*h))), to_w = Math.max(1, Math.round(w*by))
  const canvas = made('canvas', {width: to_w, height: Math.max(1, Math.round(h*by))}), notes = []
  const context = canvas.getContext('2d', {willReadFrequently: true})
  context.imageSmoothingQuality = 'high'
  context.drawImage(source, 0, 0, canvas.width, canvas.height)
  const {data} = context.getImageData(0, 0, canvas.width, canvas.height)
  const grey = shrunk(to_grey(data, canvas.height, canvas.width, notes))
  return {grey, notes, canvas: shown_small(canvas)}
}

function shown_small(canvas) {  // enough to look at
  const by = Math.min(1, 1024/Math.max(canvas.width, canvas.height))
  const size = n => Math.max(1, Math.round(n*by))
  const small = made('canvas', {width: size(canvas.width), height: size(canvas.height)})
  small.getContext('2d').drawImage(canvas, 0, 0, small.width, small.height)
  return small
}

const camera_words = {NotAllowedError: 'the camera is closed to this page: allow it in the browser',
  NotFoundError: 'there is no camera here', NotReadableError: 'the camera is in use, or does not answer',
  OverconstrainedError: 'there is no such camera here', SecurityError: 'the camera is closed to this page'}
const unserved = 'a page from disk gets no camera: take a photograph and open it here, '+
  'or use the page on a server'

// What is drawn: strokes and pictures, one after the other

function draw_item(context, item, side) {
  context.save()
  if (item.canvas) {
    const {width: w, height: h} = item.canvas, by = Math.min(side/w, side/h)
    context.imageSmoothingQuality = 'high'
    context.imageSmoothingEnabled = w > 64 || h > 64
    context.drawImage(item.canvas, (side-w*by)/2, (side-h*by)/2, w*by, h*by)
  } else {
    context.strokeStyle = item.erase ? '#fff' : '#111'
    context.lineWidth = item.width*side
    context.lineCap = context.lineJoin = 'round'
    context.beginPath()
    const [[x, y], ...more] = item.points
    context.moveTo(x*side, y*side)
    for (const [u, v] of more.length ? more : [[x+1e-4, y]]) context.lineTo(u*side, v*side)
    context.stroke()
  }
  context.restore()
}

function draw_all(canvas, items) {
  const context = canvas.getContext('2d', {willReadFrequently: true})
  context.fillStyle = '#fff'
  context.fillRect(0, 0, canvas.width, canvas.height)
  for (const item of items) draw_item(context, item, canvas.width)
  return context
}

class Drawing {
  constructor() {
    this.items = []
    this.history = []
    this.small = square(pad_side)
  }
  change(items) { this.history.push(this.items); this.items = items }
  add(item) { this.change([...this.items, item]) }
  undo() { if (this.history.length) this.items = this.history.pop() }
  picture() { return this.items.length === 1 && this.items[0].grey ? this.items[0] : null }
  grey() {  // what the recogniser gets
    if (this.picture()) return this.picture().grey
    const {data} = draw_all(this.small, this.items).getImageData(0, 0, pad_side, pad_side)
    return to_grey(data, pad_side, pad_side)
  }
  notes() { return this.picture() ? this.picture().notes : [] }
}

// What is said

class Bars {
  constructor() {
    this.names = [...'0123456789', 'none', 'printed']
    this.rows = this.names.map(() => ({fill: box('fill', 'span'), says: box('says', 'span')}))
    this.element = box('bars', 'div', ...this.names.map((name, i) => box(`bar ${name}`, 'div',
      made('span', {className: 'name', textContent: name}), box('track', 'span', this.rows[i].fill),
      this.rows[i].says)))
  }
  show(values, best) {  // twelve, or null for nothing
    this.rows.forEach(({fill: bar_, says}, i) => {
      const v = values && values[i] !== null ? values[i] : null
      bar_.style.width = `${100*(v || 0)}%`
      says.textContent = v === null ? '' : percent(v)
      says.parentNode.classList.toggle('best', i === best)
    })
  }
}

function draw_levels(canvas, x) {  // 28x28
  const context = canvas.getContext('2d'), data = context.createImageData(28, 28)
  for (let i = 0; i < 784; i++) data.data.set([x[i], x[i], x[i], 255], 4*i)
  context.putImageData(data, 0, 0)
}

function in_words(answer) {
  const how = percent(answer.confidence)
  if (!answer.rejected) return `${how} sure; then ${answer.second}`
  return `no digit; of digits likeliest ${best_of(answer.probabilities.slice(0, 10))}, ${how}`
}

function warm_up(recognizer) {  // so that the first answer is as fast as the next
  const scribble = {points: [[.3, .2], [.7, .3], [.4, .8]], width: .08}
  const {data} = draw_all(square(pad_side), [scribble]).getImageData(0, 0, pad_side, pad_side)
  const grey = to_grey(data, pad_side, pad_side)
  for (let k = 0; k < 3; k++) recognizer.second({...recognizer.first(grey), trust: 0})
}

function mount_pad(root, recognizers, {page = false, said = () => {}, start = null} = {}) {
  const drawing = new Drawing(), names = Object.keys(recognizers)
  const state = {name: names[0], brush: .075, erase: false, stroke: null, waiting: 0, camera: null, times: {}}
  const canvas = Object.assign(square(3*pad_side), {className: 'paper', tabIndex: 0})
  canvas.setAttribute('aria-label', 'draw a digit here')
  const hint = made('div', {className: 'hint', textContent: 'draw a digit'})
  const video = made('video', {playsInline: true, muted: true, hidden: true})
  const take = made('button', {className: 'take', textContent: 'take the picture', hidden: true})
  const [digit, sure, notes, status, time] = 'digit sure notes status time'.split(' ').map(name => box(name))
  const seen = Object.assign(square(28), {className: 'seen'}), bars = new Bars()
  status.setAttribute('role', 'status')
  digit.setAttribute('aria-live', 'polite')
  const say = words => { status.textContent = words }
  const button = (text, title, onclick) => made('button', {type: 'button', textContent: text, title, onclick})

  // the answer

  function show(answer, ms) {
    const blank = !answer || answer.notes.includes('blank')
    hint.hidden = drawing.items.length > 0 || !!state.stroke
    const none = blank || answer.rejected
    digit.textContent = blank ? '' : none ? '–' : answer.digit
    digit.classList.toggle('none', none)
    sure.textContent = !blank ? in_words(answer) : drawing.items.length ? 'nothing stands out: no digit' : ''
    bars.show(blank ? null : [...answer.probabilities, answer.printed], none ? -1 : answer.digit)
    const chips = blank ? [] : answer.notes.map(n => made('span', {className: 'note', textContent: n}))
    notes.replaceChildren(...chips)
    draw_levels(seen, answer ? answer.x : new Uint8Array(784))
    time.textContent = answer && ms ? `${state.name}, ${ms.toFixed(0)} ms` : ''
  }

  function judge(final = true) {
    clearTimeout(state.waiting)
    const items = drawing.items
    const now = state.stroke ? {...drawing, items: [...items, state.stroke]} : drawing
    Object.setPrototypeOf(now, Drawing.prototype)
    if (!now.items.length) { show(null); return said(null, null) }
    const began = performance.now(), grey = now.grey()
    const recognizer = recognizers[state.name], first = recognizer.first(grey)
    const answer = recognizer.answer(first, now.notes())
    show(answer, state.times.first = performance.now()-began)
    if (!final) return
    const settled = first.trust >= K.settled && !answer.notes.includes(K.low_note)
    if (settled || answer.notes.includes('blank')) return said(answer, grey)
    state.waiting = setTimeout(() => {
      const again = recognizer.answer(recognizer.second(first), now.notes())
      show(again, state.times.second = performance.now()-began)
      said(again, grey)
    })
  }

  function redraw() {
    draw_all(canvas, state.stroke ? [...drawing.items, state.stroke] : drawing.items)
    canvas.classList.toggle('drawing', !drawing.items.some(i => i.canvas))
  }

  function changed() { redraw(); judge() }

  // drawing

  const place = e => {
    const box = canvas.getBoundingClientRect()
    return [(e.clientX-box.left)/box.width, (e.clientY-box.top)/box.height]
  }
  let last = 0
  canvas.addEventListener('pointerdown', e => {
    if (e.button || state.stroke || state.camera) return
    e.preventDefault()
    canvas.focus({preventScroll: true})
    canvas.setPointerCapture(e.pointerId)
    const erase = state.erase || e.buttons === 32  // the other end of a pen
    state.stroke = {points: [place(e)], width: state.brush, erase, by: e.pointerId}
    hint.hidden = true
    say('')
    redraw()
  })
  canvas.addEventListener('pointermove', e => {
    if (!state.stroke || state.stroke.by !== e.pointerId) return
    const all = e.getCoalescedEvents ? e.getCoalescedEvents() : []
    state.stroke.points.push(...(all.length ? all : [e]).map(place))
    if (performance.now()-last < 70) return redraw()
    redraw()
    judge(false)
    last = performance.now()
  })
  const lift = e => {
    if (!state.stroke || state.stroke.by !== e.pointerId) return
    drawing.add(state.stroke)
    state.stroke = null
    changed()
  }
  canvas.addEventListener('pointerup', lift)
  canvas.addEventListener('pointercancel', lift)

  // pictures

  async function open_file(file) {
    close_camera()
    say(`opening ${file.name || 'the picture'}...`)
    try {
      const found = await picture_of(file)
      drawing.change([found])
      say('')
      changed()
    } catch (e) { say(e.message) }
  }
  const chooser = made('input', {type: 'file', accept: 'image/*', hidden: true, onchange: () => {
    if (chooser.files[0]) open_file(chooser.files[0])
    chooser.value = ''
  }})
  const first_file = transfer => [...(transfer ? transfer.files : [])][0]
  root.addEventListener('dragover', e => { e.preventDefault(); root.classList.add('over') })
  root.addEventListener('dragleave', () => root.classList.remove('over'))
  root.addEventListener('drop', e => {
    e.preventDefault()
    root.classList.remove('over')
    const file = first_file(e.dataTransfer)
    file ? open_file(file) : say('what was dropped is no file')
  })
  ;(page ? document : root).addEventListener('paste', e => {
    const file = first_file(e.clipboardData)
    file ? open_file(file) : say('there is no picture to paste')
    e.preventDefault()
  })

  // the camera

  function close_camera() {
    if (state.camera) for (const track of state.camera.getTracks()) track.stop()
    state.camera = null
    video.hidden = take.hidden = true
    video.srcObject = null
  }
  async function open_camera() {
    if (state.camera) return close_camera()
    if (location.protocol === 'file:' || !navigator.mediaDevices) return say(unserved)
    say('waiting for the camera...')
    try {
      state.camera = await in_time(navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment'}}))
      video.srcObject = state.camera
      await in_time(video.play())
      video.hidden = take.hidden = false
      say('')
    } catch (e) {
      close_camera()
      say(camera_words[e.name] || `the camera ${e.message}`)
    }
  }
  take.onclick = () => {
    const found = pixels_of(video, video.videoWidth, video.videoHeight)
    close_camera()
    drawing.change([found])
    changed()
  }

  // tools

  const eraser = button('eraser', 'rub out (e)', () => {
    state.erase = !state.erase
    eraser.setAttribute('aria-pressed', state.erase)
  })
  const width = made('input', {type: 'range', min: 2, max: 20, value: 100*state.brush,
    title: 'width of the brush', oninput: () => { state.brush = width.value/100 }})
  width.setAttribute('aria-label', 'width of the brush')
  const undo = () => { drawing.undo(); say(''); changed() }
  const clear = () => { if (drawing.items.length) drawing.change([]); close_camera(); say(''); changed() }
  const choose = () => { state.name = networks.value; judge() }
  const networks = made('select', {title: 'network', onchange: choose},
    ...names.map(n => made('option', {value: n, textContent: n})))
  networks.setAttribute('aria-label', 'network')
  root.addEventListener('keydown', e => {
    if (e.target.matches('input, select')) return
    if (e.key === 'e' && !e.ctrlKey && !e.metaKey) eraser.click()
    else if (e.key === 'z' || e.key === 'u') undo()
    else if (e.key === 'Escape') close_camera()
    else if (e.key === 'Delete' || e.key === 'Backspace') clear()
    else return
    e.preventDefault()
    e.stopPropagation()
  })

  const tools = box('tools', 'div',
    button('undo', 'undo (z)', undo),
    button('clear', 'clear (Delete)', clear), eraser, made('label', {}, 'brush ', width),
    button('picture', 'a file; or drop it, or paste it', () => chooser.click()),
    button('camera', 'take a photograph', open_camera), chooser)
  const figure = made('figure', {}, seen, made('figcaption', {textContent: 'what the network sees'}))
  root.classList.add('hdr-pad')
  root.append(box('left', 'div', box('sheet', 'div', canvas, hint, video, take), tools, status),
    box('right', 'div', box('answer', 'div', digit, box('about', 'div', sure, notes)), bars.element,
      box('below', 'div', figure, box('which', 'div', made('label', {}, 'network ', networks), time))))
  if (start) drawing.items = [start]
  changed()
  setTimeout(() => warm_up(recognizers[state.name]), 50)
  return {state, drawing, open_file, clear, undo, close: close_camera}
}
