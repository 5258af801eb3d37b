// The page that hdr.review and hdr.audit make: look, correct, save. No server, nothing loaded.
// `data` stands in the page; answers are a map from 'page/id' to text, kept in the browser.
'use strict'

const data = JSON.parse(document.getElementById('data').textContent)
const blind = data.kind === 'audit'  // readings are not shown, nor are they in the file
const store = `hdr ${data.kind} ${data.results.sha256}`
const steps = [0, .5, .8, .9, .95, .99, .999, 2]  // of the filter: less sure than this; 2 is all
const groups = ['?', ...'0123456789']
const find = id => document.getElementById(id)

const items = list => list.map(item => ({...item, key: `${item.n}/${item.id}`}))
const marks = items(data.marks), fields = items(data.fields)
const state = {view: marks.length ? 'marks' : 'fields', group: 0, at: 0, field: 0,
  filter: {marks: steps.length-1, fields: blind ? steps.length-1 : 0}, answers: new Map(), undo: []}

// What is kept in the browser

function keep() {
  const kept = {answers: [...state.answers], by: find('by').value}
  try { localStorage.setItem(store, JSON.stringify(kept)) } catch { say('this browser keeps nothing: save often') }
}

function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(store)) || {answers: [], by: ''}
    state.answers = new Map(kept.answers)
    find('by').value = kept.by
  } catch { say('this browser keeps nothing: save often') }
}

// Answers, and the way back from them

function answer(pairs) {  // [item, text] each; one step for undo
  state.undo.push(pairs.map(([item]) => [item.key, state.answers.get(item.key)]))
  for (const [item, text] of pairs) state.answers.set(item.key, text)
  keep()
}

function undo() {
  const last = state.undo.pop()
  if (!last) return say('nothing to undo')
  for (const [key, text] of last) text === undefined ? state.answers.delete(key) : state.answers.set(key, text)
  keep()
  show_item(last[0][0])
}

function show_item(key) {  // go where it is
  const mark = marks.find(m => m.key === key)
  if (mark) {
    Object.assign(state, {view: 'marks', group: groups.indexOf(mark.was)})
    state.at = Math.max(0, carpet().indexOf(mark))
  } else Object.assign(state, {view: 'fields', field: Math.max(0, listed().findIndex(f => f.key === key))})
  draw()
}

// What is shown

const below = (item, view) => item.confidence < steps[state.filter[view]]
const carpet = (group = groups[state.group]) => marks.filter(m => m.was === group &&
  (group === '?' || below(m, 'marks'))).sort((a, b) => a.confidence-b.confidence)
const listed = () => fields.filter(f => blind || f.flagged || below(f, 'fields'))
const open = list => list.filter(item => !state.answers.has(item.key))
const percent = p => p > 0 && p < .005 ? '<1%' : `${(100*p).toFixed(p > .995 && p < 1 ? 1 : 0)}%`
const file_name = item => data.files[item.n-1].split(/[/\\]/).pop()

function reading(field) {  // with what was said of its marks
  let k = 0
  return [...field.was].map(c => {
    if (!'0123456789?'.includes(c)) return c
    const mark = marks[field.marks[k++]]
    return mark && state.answers.has(mark.key) ? state.answers.get(mark.key) : c
  }).join('').trim()
}

function element(tag, known = {}, ...children) {
  const made = Object.assign(document.createElement(tag), known)
  made.append(...children)
  return made
}

const picture = item => element('img', {src: item.picture, alt: '', draggable: false})

function draw() {
  document.body.className = state.view
  draw_progress()
  const filter = state.filter[state.view]
  find('filter').value = filter
  find('below').textContent = filter === steps.length-1 ? 'all' : filter ? `below ${percent(steps[filter])}`
    : state.view === 'marks' ? 'only ?' : 'flagged'
  for (const view of ['marks', 'fields']) find(`to-${view}`).setAttribute('aria-pressed', view === state.view)
  state.view === 'marks' ? draw_marks() : draw_field()
  draw_keys()
}

function draw_progress() {
  const shown = [...groups.flatMap(g => carpet(g)), ...listed()], left = open(shown).length
  find('bar').style.width = `${shown.length ? 100*(1-left/shown.length) : 100}%`
  find('count').textContent = left ? `${shown.length-left} of ${shown.length}` : `all ${shown.length} done`
}

// The carpet: all marks that were read alike

function chips() {  // a button for each digit, with what is left of it
  return groups.map((g, i) => {
    const all = carpet(g), left = open(all).length
    const chip = element('button', {className: 'chip', disabled: !all.length, onclick: () => go_to_group(i)},
      element('b', {}, g), element('small', {}, left ? `${left}` : all.length ? '✓' : '–'))
    chip.setAttribute('aria-pressed', i === state.group)
    return chip
  })
}

function draw_marks() {
  const main = find('main'), list = carpet()
  const tiles = list.map((mark, i) => {
    const tile = element('button', {className: 'mark', onclick: () => select(i), tabIndex: -1,
      title: `${file_name(mark)}, ${mark.id}: ${mark.was} to ${percent(mark.confidence)}`}, picture(mark))
    return paint(tile, mark)
  })
  const what = groups[state.group] === '?' ? 'Not understood' : `Read as ${groups[state.group]}`
  main.replaceChildren(element('nav', {id: 'chips'}, ...chips()),
    element('h2', {}, what, element('small', {}, list.length ? 'the least sure first' : 'none')),
    element('div', {id: 'carpet'}, ...tiles))
  select(Math.min(state.at, Math.max(0, list.length-1)))
}

function paint(tile, mark) {  // as its answer is
  const said = state.answers.get(mark.key), wrong = said !== undefined && said !== mark.was
  tile.classList.toggle('right', said === mark.was)
  tile.classList.toggle('wrong', wrong)
  tile.dataset.said = wrong ? said || '×' : ''
  return tile
}

function select(i) {
  const tiles = [...find('carpet').children]
  for (const t of tiles) t.classList.remove('selected')
  state.at = i
  if (tiles[i]) { tiles[i].classList.add('selected'); tiles[i].scrollIntoView({block: 'nearest'}) }
}

function go_to_group(i) { Object.assign(state, {group: i, at: 0}); draw() }

function mark_is(text) {
  const mark = carpet()[state.at]
  if (!mark) return
  answer([[mark, text]])
  paint(find('carpet').children[state.at], mark)
  find('chips').replaceChildren(...chips())
  select(Math.min(state.at+1, carpet().length-1))
  draw_progress()
}

function rest_is_right() {  // of what was not understood: the rest is no digit
  const rest = open(carpet()), next = groups.findIndex((g, i) => i > state.group && carpet(g).length)
  if (rest.length) answer(rest.map(m => [m, m.was === '?' ? '' : m.was]))
  if (next > 0) return go_to_group(next)
  fields.length ? go_to_view('fields') : draw()
}

function walk(key) {
  const tiles = [...find('carpet').children]
  if (!tiles.length) return
  const top = tiles[0].offsetTop, wide = tiles.findIndex(t => t.offsetTop > top)
  const by = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide, Home: -1e9, End: 1e9}[key]
  if (wide < 0 && (key === 'ArrowUp' || key === 'ArrowDown')) return
  select(Math.max(0, Math.min(tiles.length-1, state.at+by)))
}

// The fields, one after the other

function draw_field() {
  const list = listed(), main = find('main')
  state.field = Math.max(0, Math.min(state.field, list.length))
  const field = list[state.field]
  if (!field) return main.replaceChildren(...the_end(list))
  const said = state.answers.get(field.key), read = blind ? '' : reading(field)
  const place = `${state.field+1} of ${list.length} · ${file_name(field)} · ${field.id}`
  const box = element('input', {id: 'text', value: said ?? '', autocomplete: 'off', spellcheck: false,
    placeholder: blind ? 'what does it say?' : 'type what it says', oninput: check})
  box.inputMode = 'decimal'
  const others = (field.alternatives || []).slice(0, 5).map(([text, p], i) =>
    element('button', {className: 'other', onclick: () => field_is(text)},
      element('kbd', {}, `${i+1}`), element('b', {}, text || 'nothing'), element('small', {}, percent(p))))
  main.replaceChildren(element('p', {className: 'place'}, place),
    element('figure', {}, framed(field), element('figcaption', {}, field.reason || '')),
    ...(blind ? [] : [element('p', {id: 'reading', className: said === undefined ? '' : 'done'},
      said ?? read, element('small', {}, said === undefined ? percent(field.confidence) : 'done'))]),
    element('div', {className: 'others'}, ...others), box, element('p', {id: 'fault'}))
  if (blind) box.focus()
}

function framed(field) {  // the picture, and in it where the field is
  const image = picture(field), [x, y, w, h] = field.cut, frame = element('i', {className: 'frame'})
  image.onload = () => {
    const share = (v, of) => `${100*v/of}%`
    image.style.width = `${Math.round(1.7*image.naturalWidth)}px`  // as large as there is room
    Object.assign(frame.style, {left: share(x, image.naturalWidth), width: share(w, image.naturalWidth),
      top: share(y, image.naturalHeight), height: share(h, image.naturalHeight)})
  }
  return element('div', {className: 'framed'}, image, frame)
}

function the_end(list) {
  const left = open(list).length+open(groups.flatMap(g => carpet(g))).length
  const words = left ? `${left} still to be looked at: arrows go back.` : 'Nothing is left to be looked at.'
  return [element('h2', {}, left ? 'The end of the list' : 'All done'), element('p', {}, words),
    element('button', {className: 'big', onclick: save}, 'Save ', element('kbd', {}, blind ? 'Ctrl S' : 's'))]
}

// What the rules of a field say of a text: `rules` and `helpers` stand before this script
function broken(field, text) {
  if (!text || !field.rules) return []
  const obeys = r => { try { return rules[r.rule](r, text, helpers) } catch { return true } }  // a pattern of Python alone
  return field.rules.filter(r => !obeys(r)).map(r => r.rule.replace('_', ' '))
}

const allowed = text => [...text].every(c => `${data.alphabet}? `.includes(c))

function check() {
  const text = find('text').value, good = allowed(text), field = listed()[state.field]
  const wrong = good && field ? broken(field, text.trim()) : []
  find('fault').textContent = !good ? `only ${data.alphabet.split('').join(' ')}, spaces and ?`
    : wrong.length ? `not by rule ${wrong.join(' and ')}; Enter twice keeps it` : ''
  return good && (!wrong.length || state.insist === text)
}

function field_is(text) {
  const field = listed()[state.field]
  if (!field) return
  answer([[field, text.trim()]])
  step(1)
}

function step(by) { state.field += by; state.insist = null; draw() }

function typed() {  // what breaks a rule is taken when Enter is pressed again
  const text = find('text').value
  if (check()) return field_is(text)
  state.insist = text
}

// Keys; each is a button, too

function keys() {
  if (blind) return [['Enter', 'next', typed], ['↑', 'back', () => step(-1)], ['Ctrl S', 'save', save]]
  const shared = [['u', 'undo', undo], ['f', state.view === 'marks' ? 'fields' : 'marks', other_view], ['s', 'save', save]]
  const rest = groups[state.group] === '?' ? 'the rest are no digits' : 'the rest is right'
  if (state.view === 'marks') return [...groups.slice(1).map(d => [d, '', () => mark_is(d)]),
    ['x', 'no digit', () => mark_is('')], ['Enter', rest, rest_is_right], ...shared]
  return [['Enter', 'is right', is_right], ['Space', 'type', type], ['x', 'nothing', () => field_is('')],
    ['←', 'back', () => step(-1)], ['→', 'on', () => step(1)], ...shared]
}

function is_right() { const f = listed()[state.field]; if (f) field_is(state.answers.get(f.key) ?? reading(f)) }
function type() { find('text')?.focus(); find('text')?.select() }
function go_to_view(view) { state.view = view; draw() }
function other_view() { if (marks.length && fields.length) go_to_view(state.view === 'marks' ? 'fields' : 'marks') }
function set_filter(i) {
  state.filter[state.view] = Math.max(0, Math.min(steps.length-1, i))
  Object.assign(state, {at: 0, field: 0})
  draw()
}

function draw_keys() {
  find('keys').replaceChildren(...keys().map(([key, words, act]) =>
    element('button', {onclick: () => { act(); find('text') && document.activeElement === find('text') || document.activeElement.blur() },
      tabIndex: -1}, element('kbd', {}, key), words)))
}

function press(event) {
  const {key} = event, writes = event.target.tagName === 'INPUT' && event.target.type !== 'range'
  const does = act => { event.preventDefault(); act() }
  if ((event.ctrlKey || event.metaKey) && key === 's') return does(save)
  if (event.ctrlKey || event.metaKey || event.altKey) return
  if (writes) {
    if (key === 'Escape') return does(() => event.target.blur())
    if (key === 'Enter') return does(() => event.target.id === 'text' ? typed() : event.target.blur())
    if (event.target.id === 'text' && key === 'ArrowUp') does(() => step(-1))
    if (event.target.id === 'text' && key === 'ArrowDown') does(() => step(1))
    return
  }
  if (key === '+' || key === '-') return does(() => set_filter(state.filter[state.view]+(key === '+' ? 1 : -1)))
  if (key === 'Tab') return
  if (state.view === 'marks') {
    if (key.startsWith('Arrow') || key === 'Home' || key === 'End') return does(() => walk(key))
    if (key === ',' || key === '.') return does(() => next_group(key === '.' ? 1 : -1))
  } else if (/^[1-5]$/.test(key)) {
    const other = listed()[state.field]?.alternatives?.[key-1]
    return other && does(() => field_is(other[0]))
  }
  const named = {' ': 'Space', ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑'}[key] || key
  const known = keys().find(([k]) => k === named)
  if (known) does(known[2])
}

function next_group(by) {
  for (let i = state.group+by; i >= 0 && i < groups.length; i += by) if (carpet(groups[i]).length) return go_to_group(i)
}

// Save

async function cut(item) {  // the field alone, as PNG
  if (!item.cut) return item.picture
  const image = new Image(), [x, y, w, h] = item.cut
  image.src = item.picture
  await image.decode()
  const canvas = element('canvas', {width: w, height: h})
  canvas.getContext('2d').drawImage(image, x, y, w, h, 0, 0, w, h)
  return canvas.toDataURL('image/png')
}

async function saved_item(item) {
  const is = state.answers.get(item.key), known = {page: item.n, file: data.files[item.n-1], id: item.id, box: item.box}
  if (blind) return {...known, is}
  return {...known, was: item.was, is, confirmed: is === item.was, picture: (await cut(item)).split(',')[1]}
}

async function save() {
  const done = [...marks, ...fields].filter(item => state.answers.has(item.key))
  if (!done.length) return say('nothing to save yet')
  const out = {results: data.results, reviewed_by: find('by').value.trim(), reviewed_at: new Date().toISOString(),
    ...(blind && {audit: data.audit}), items: await Promise.all(done.map(saved_item))}
  const name = blind ? 'keyed.json' : 'corrections.json'
  const url = URL.createObjectURL(new Blob([JSON.stringify(out, null, 1)], {type: 'application/json'}))
  element('a', {href: url, download: name}).click()
  setTimeout(() => URL.revokeObjectURL(url), 1e4)
  say(`${done.length} answers saved as ${name}`)
}

let quiet
function say(words) {
  find('says').textContent = words
  clearTimeout(quiet)
  quiet = setTimeout(() => { find('says').textContent = '' }, 4000)
}

// Begin

recall()
find('filter').max = steps.length-1
find('filter').oninput = event => set_filter(+event.target.value)
find('by').oninput = keep
find('to-marks').onclick = () => go_to_view('marks')
find('to-fields').onclick = () => go_to_view('fields')
find('to-marks').hidden = find('to-fields').hidden = !marks.length || !fields.length
find('filters').hidden = blind
const wanted = decodeURIComponent(location.hash.slice(1))  // '#3': the carpet of threes; '#fields'
if (wanted === 'fields') state.view = 'fields'
if (groups.includes(wanted)) state.group = groups.indexOf(wanted)
else if (state.view === 'marks') state.group = Math.max(0, groups.findIndex(g => open(carpet(g)).length))
else state.field = Math.max(0, listed().findIndex(f => !state.answers.has(f.key)))
document.addEventListener('keydown', press)
addEventListener('resize', () => state.view === 'marks' && select(state.at))
draw()
