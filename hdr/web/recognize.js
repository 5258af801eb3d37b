// One digit in a picture: which, how surely, or none, as hdr/recognize.py and hdr/image.py have it.

// Pixels

function to_grey(rgba, h, w, notes = []) {  // as Pillow does it
  const out = new Uint8Array(h*w), n = h*w
  let ink_sum = 0, seen = 0, clear = false, high = 0
  for (let i = 0, k = 0; i < n; i++, k += 4) {
    const grey = rgba[k]*19595+rgba[k+1]*38470+rgba[k+2]*7471+32768 >> 16, alpha = rgba[k+3]
    out[i] = grey
    if (grey > high) high = grey
    if (alpha < 255) clear = true
    ink_sum += grey*alpha
    seen += alpha
  }
  const white = ink_sum > 127*(seen+1) ? 0 : 255  // light on nothing is on black
  if (clear) for (let i = 0; i < n; i++) {
    const alpha = rgba[4*i+3]
    out[i] = (out[i]*alpha+white*(255-alpha)+127)/255
  }
  else if (1 < high && high <= K.nearly_black) notes.push('nearly black')
  return picture(h, w, out)
}

function shrunk(p) {  // to at most K.side pixels a side
  const by = Math.floor(longest(p)/K.side)
  if (by >= 2) p = reduced(p, by)
  return longest(p) > K.side ? rescaled(p, K.side/longest(p)) : p
}

// Looks

function chosen_marks(m, which) {
  const main = main_mark(m)
  if (which === 'main') return [main]
  if (which === 'digit') return parts_of_digit(m)
  const all = m.found.map((_, i) => i)
  return [main, ...all.filter(i => i !== main && m.found[i].ink > K.chosen_marks[0]*m.found[main].ink)]
}

function find_oddities(grey, dark, ruled, m, parts, width) {
  const [high_rank, contrast, small, low, most] = K.find_oddities, box = box_of(m, parts), [thin, thick] = K.pen_range
  const n = counts(part(grey, box.x0, box.y0, box.x1, box.y1).a)
  const found = {
    'dark background': !dark,
    'low contrast': percentile(n, high_rank)-percentile(n, 2) < contrast,
    'very small': Math.max(box.x1-box.x0, box.y1-box.y0) < small,
    'lines removed': ruled,
    'several marks found': m.found.length > parts.length,
    'broken strokes': parts.length > 2,
    'touches the edge': parts.some(i => m.found[i].edge),
    'thin pen': 0 < width && width < thin,
    'thick pen': width > thick,
    [K.low_note]: box.y0 > low*grey.h && box.y1-box.y0 < most*grey.h}
  return Object.keys(found).filter(note => found[note])
}

function kept_ink(a, m, parts) {  // the ink of some marks, with what is faint around them
  const mine = new Uint8Array(m.found.length+1), labels = m.labels
  for (const i of parts) mine[i+1] = 1
  const mask = like(a, fill(bits(a), i => mine[labels[i]]))
  const around = dilate(mask, 3, 3).a
  return like(a, fill(a.a.slice(), i => around[i] && (mask.a[i] || labels[i] === 0) ? a.a[i] : 0))
}

function look(grey, {dark, marks = 'digit', window = 0} = {}) {
  grey = without_margins(grey)
  const light = light_share(grey)
  if (dark === undefined) dark = light > K.look[0]
  const raw = ink(grey, dark, window), a = remove_edge_rules(raw), m = find_marks(a)
  if (!m.found.length)
    return {grey, ink: raw, kept: a, x: new Uint8Array(784), notes: ['blank'], light, main: 1, kept_share: 1}
  const parts = chosen_marks(m, marks), kept = kept_ink(a, m, parts), {x, width} = normalise_digit(kept)
  const notes = find_oddities(grey, dark, a !== raw, m, parts, width)
  const weight = total(parts.map(i => m.found[i].ink)), all = total(m.found.map(c => c.ink))
  return {grey, ink: raw, kept, x, notes, light, main: m.found[parts[0]].ink/weight, kept_share: weight/all}
}

function whole_look(seen) {
  const [paper_light, high_rank] = K.whole_look
  const grey = seen.light > paper_light ? inverted(seen.grey) : seen.grey
  const small = resize(grey, 28, 28, 'area'), n = counts(small.a)
  const low = percentile(n, 5), by = 255/Math.max(percentile(n, high_rank)-low, 1)
  const x = Uint8Array.from(small.a, v => Math.min(255, Math.max(0, (v-low)*by)))
  return {...seen, x, notes: [...seen.notes, 'read as a whole']}
}

function second_looks(seen) {  // functions, each of which looks
  const [paper_light, least_main, most_kept, low, high] = K.second_looks
  const dark = seen.light > paper_light, widest = 2*longest(seen.grey)
  const tries = []
  if (least_main < seen.main && seen.main < 1) tries.push({dark, marks: 'main'})
  if (seen.kept_share < most_kept) tries.push({dark, marks: 'all'})
  tries.push({dark, window: widest})
  if (low < seen.light && seen.light < high) tries.push({dark: !dark}, {dark: !dark, window: widest})
  const whole = seen.kept_share < 1 || seen.main < 1 ? [() => whole_look(seen)] : []
  return [...whole, ...tries.map(how => () => look(seen.grey, how))]
}

function slightly_changed(x) {  // eight pictures: pixels between four are a mixture of them
  return K.slight_changes.map(([a, b, c, d]) => Uint8Array.from(x, (_, i) => {
    const right = i%28-13.5, down = Math.floor(i/28)-13.5
    const clipped = v => Math.min(28, Math.max(-1, v+13.5))
    const column = clipped(a*right+b*down), row = clipped(c*right+d*down)
    const left = Math.floor(column), top = Math.floor(row), across = column-left, along = row-top
    const at = (r, k) => 0 <= r && r < 28 && 0 <= k && k < 28 ? x[28*r+k] : 0
    const line = r => (1-across)*at(r, left)+across*at(r, left+1)
    return (1-along)*line(top)+along*line(top+1)+.5
  }))
}

// Answers

const most = p => Math.max(...p.slice(0, 10))

function damped({notes}, p) {  // what is small and low may be a point
  if (!notes.includes(K.low_note)) return p
  const half = p.slice(0, 10).map(v => v*K.looks[1])
  return [...half, 1-total(half)]
}

class Recognizer {
  constructor(network) {
    this.network = network
    this.temperature = network.card.temperature
    this.threshold = float(network.card.threshold)
  }
  both(x) {  // [eleven probabilities, how likely print or null]
    const said = this.network.outputs(x), n = Math.min(11, said.length)
    const printed = said.length > 11 ? said[11] : null
    const z = Array.from(said.slice(0, n), v => Math.log(Math.max(v, 1e-12))/this.temperature)
    const top = Math.max(...z), e = z.map(v => Math.exp(v-top)), sum = total(e)
    const p = any(x) ? e.map(v => v/sum) : new Array(10).fill(0).concat(1)
    return [p.length === 10 ? [...p, 0] : p, printed]
  }
  seen(look_) {
    const [p, printed] = this.both(look_.x)
    return {look: {...look_, printed}, p}
  }
  first(grey) {  // the first look, with how far it is trusted
    const now = this.seen(look(grey)), beside = now.look.kept_share < K.looks[0] && best_of(now.p) === 1
    return {...now, trust: most(now.p)*(beside ? K.lone : 1)}
  }
  second(before) {  // what counts after more looks, where the first left doubt
    let best = before
    for (const again of before.trust < K.sure ? second_looks(before.look) : []) {
      const now = this.seen(again())
      if (most(now.p) > best.trust) best = {...now, trust: most(now.p)}
    }
    return {...best, p: damped(best.look, this.reconsider(best.look.x, best.p))}
  }
  reconsider(x, p) {  // the geometric mean of what a digit and its slight changes are taken for
    if (most(p) >= K.settled || !any(x)) return p
    const said = [p, ...slightly_changed(x).map(changed => this.both(changed)[0])]
    const mean = p.map((_, k) => Math.exp(total(said.map(q => Math.log(Math.max(q[k], K.reconsider[0]))))/said.length))
    const sum = total(mean)
    return mean.map(v => v/sum)
  }
  answer({look: seen, p}, notes = []) {
    const ranked = p.slice(0, 10).map((v, i) => [v, i]).sort((a, b) => a[0]-b[0] || a[1]-b[1])
    const [[, second], [sure, digit]] = ranked.slice(-2)
    const rejected = float(sure) < this.threshold || !any(seen.x)
    const all = [...notes, ...seen.notes]
    if (p[10] > K.answer[0] && !seen.notes.includes('blank')) all.push('no digit')
    return {digit: rejected ? null : digit, confidence: sure, rejected, second, notes: all,
      printed: seen.printed, probabilities: Array.from(p), x: seen.x}
  }
  classify(grey, notes = []) { return this.answer(this.second(this.first(shrunk(grey))), notes) }
}

function recognizers_of(networks) {  // by name
  const made_of = ([name, network]) => [name, new Recognizer(new Network(network))]
  return Object.fromEntries(Object.entries(networks).map(made_of))
}
