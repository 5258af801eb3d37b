// A page that was read: its picture with boxes, what each digit may be, what is unsure, tables as text.

const drawn = (tag, known = {}) => {
  const one = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(known)) one.setAttribute(name, value)
  return one
}
const shown_digit = d => d.rejected ? '?' : String(d.digit)
const around = (b, by) => ({x: b[0]-by, y: b[1]-by, width: b[2]-b[0]+2*by, height: b[3]-b[1]+2*by, rx: 2*by})

function table_text(table) {  // tabs between columns, as spreadsheets take it
  const rows = Array.from({length: table.rows}, () => new Array(table.columns).fill(''))
  for (const c of table.cells) rows[c.row-1][c.column-1] = c.text
  return rows.map(r => r.join('\t')).join('\n')
}

async function copy(text) {
  try { await navigator.clipboard.writeText(text); return true } catch {}
  const area = made('textarea', {value: text})  // where the clipboard is closed to scripts
  document.body.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  return done
}

function mount_viewer(root, {picture, page, seen, threshold}) {
  const digits = page.lines.flatMap(l => l.digits), state = {at: -1, threshold}
  const svg = drawn('svg', {viewBox: `0 0 ${page.width} ${page.height}`}), by = Math.max(1, page.width/600)
  svg.append(drawn('image', {href: picture, width: page.width, height: page.height}))
  for (const kind of ['tables', 'fields']) for (const place of page[kind] || [])
    svg.append(drawn('rect', {class: kind, ...around(place.box, by)}))
  const boxes = digits.map((d, i) => {
    const label = {class: 'digit-box', tabindex: 0, 'aria-label': `read as ${shown_digit(d)}`}
    const frame = drawn('rect', {...label, ...around(d.box, by)})
    for (const event of ['pointerenter', 'focus', 'click']) frame.addEventListener(event, () => show(i))
    svg.append(frame)
    return frame
  })
  const [digit, about, status] = 'digit sure status'.split(' ').map(name => box(name)), bars = new Bars()
  const small = Object.assign(square(28), {className: 'seen'}), unsure = made('span')
  const slide = () => { state.threshold = slider.value/100; mark() }
  const slider = made('input', {type: 'range', min: 0, max: 100,
    value: Math.round(100*threshold), oninput: slide})
  slider.setAttribute('aria-label', 'threshold')
  status.setAttribute('role', 'status')

  function show(i) {
    const d = digits[i], values = new Array(12).fill(0)
    for (const [k, p] of d.top.length ? d.top : [[d.digit, d.confidence]]) values[k] = p
    values[10] = null
    values[11] = d.printed
    boxes.forEach((b, k) => b.classList.toggle('at', k === i))
    digit.textContent = shown_digit(d)
    digit.classList.toggle('none', d.rejected)
    about.textContent = `${percent(d.confidence)} sure; ${d.id}`
    bars.show(values, d.rejected ? -1 : d.digit)
    draw_levels(small, seen.subarray(784*i, 784*i+784))
  }

  function mark() {
    const low = digits.map(d => d.rejected || d.confidence < state.threshold), n = low.filter(v => v).length
    boxes.forEach((b, i) => b.classList.toggle('low', low[i]))
    unsure.textContent = `${percent(state.threshold)}: ${n} of ${digits.length} below`
  }

  const copies = async table => {
    status.textContent = await copy(table_text(table)) ? 'copied' : 'this browser lets nothing be copied'
  }
  const buttons = (page.tables || []).map((table, k) => made('button', {type: 'button',
    textContent: `copy table ${k+1} as text`, onclick: () => copies(table)}))
  const figure = made('figure', {}, small, made('figcaption', {textContent: 'what the network saw'}))
  root.classList.add('hdr-pad', 'hdr-viewer')
  root.append(box('left', 'div', box('scan', 'div', svg)),
    box('right', 'div', box('tools', 'div', made('label', {}, 'threshold ', slider), unsure),
      box('answer', 'div', digit, box('about', 'div', about)), bars.element, box('below', 'div', figure),
      box('tools', 'div', ...buttons), status))
  mark()
  if (digits.length) show(0)
}
