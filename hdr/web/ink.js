// From grey pixels to MNIST's form, as hdr/ink.py has it. `K` holds the numbers of each function there.

let K = {}  // set by `use_constants`
function use_constants(numbers) { K = numbers }

const longest = p => Math.max(p.h, p.w)
const total = a => { let sum = 0; for (const v of a) sum += v; return sum }
const any = a => a.some(v => v)
const fraction = (a, holds) => { let n = 0; for (const v of a) if (holds(v)) n++; return n/a.length }

function rows_and_columns(p, level = 0) {  // first and last with ink, or null
  let x0 = p.w, x1 = -1, y0 = p.h, y1 = -1
  for (let y = 0, i = 0; y < p.h; y++) for (let x = 0; x < p.w; x++, i++) if (p.a[i] > level) {
    if (x < x0) x0 = x
    if (x > x1) x1 = x
    if (y < y0) y0 = y
    y1 = y
  }
  return x1 < 0 ? null : {x0, y0, x1, y1}
}

// Bars of one level at the edges

function bar(p) {  // rows of it at the top
  const [ends_share, same_share] = K._bar, alike = K.alike
  const even_row = y => {
    let low = 255, high = 0
    for (let i = y*p.w; i < (y+1)*p.w; i++) { low = Math.min(low, p.a[i]); high = Math.max(high, p.a[i]) }
    return high-low <= alike
  }
  let n = 0
  while (n < p.h && even_row(n)) n++
  if (n === 0 || n === p.h) return 0
  const line = p.a.subarray(n*p.w, (n+1)*p.w), level = p.a[(n-1)*p.w]
  const ends = fraction(line, v => Math.abs(v-level) > alike) > ends_share
  let same = 0
  for (let x = 1; x < p.w; x++) if (line[x] === line[x-1]) same++
  return ends && same/(p.w-1) < same_share ? n : 0
}

function quarter_turned(p) {  // against the clock
  const t = turned(p), out = new Uint8Array(t.a.length)
  for (let y = 0; y < t.h; y++) out.set(t.a.subarray(y*t.w, (y+1)*t.w), (t.h-1-y)*t.w)
  return like(t, out)
}

function without_margins(p) {
  for (let k = 0; k < 4; k++) p = quarter_turned(part(p, 0, bar(p), p.w, p.h))
  return p
}

// Paper and ink

const sized = (n, factor) => Math.max(1, even(n*factor))
const rescaled = (p, factor) => factor === 1 ? p : resize(p, sized(p.h, factor), sized(p.w, factor), 'area')

function light_share(p) {  // above .5 paper is light
  const [least, rank] = K.light_share, g = rescaled(p, Math.min(1, K.light_side/longest(p)))
  const around = Math.max(3, longest(g) >> 2) | 1
  const high = dilate(g, around, around).a, low = erode(g, around, around).a
  const range = fill(bits(g), i => high[i]-low[i])
  const near = float(least*float(percentile(counts(range), rank, true)))
  let inside = 0, n = 0
  for (let i = 0; i < range.length; i++) if (range[i] >= near) {
    n++
    if (g.a[i] > (high[i]+low[i])/2) inside++
  }
  let top = 0, bottom = 255, edge = 0
  for (const v of g.a) { top = Math.max(top, v); bottom = Math.min(bottom, v) }
  const light = i => { if (g.a[i] > (top+bottom)/2) edge++ }
  for (let x = 0; x < g.w; x++) { light(x); light((g.h-1)*g.w+x) }
  for (let y = 0; y < g.h; y++) { light(y*g.w); light((y+1)*g.w-1) }
  return (inside/n+edge/(2*g.w+2*g.h))/2
}

function paper(p, window) {  // without ink, in few pixels
  const factor = Math.min(1, K.paper_side/longest(p)), small = rescaled(p, factor)
  const k = (window ? Math.trunc(window*factor) : Math.max(5, Math.floor(longest(small)/3))) | 1
  const soft = (k >> 1) | 1, margin = (k >> 1)+(soft >> 1)+1  // so far what lies beyond the edge counts
  return box_blur(close(padded(small, margin, true), k, k), soft, margin)
}

function light_missing(p, ground) {
  const least = K.light_missing[1], under = resize(ground, p.h, p.w, 'linear').a
  const out = new Float32Array(p.a.length)
  for (let i = 0; i < out.length; i++) out[i] = Math.max(0, under[i]-p.a[i])/Math.max(under[i], least)
  return like(p, out)
}

function digit_levels(missing) {  // where ink begins and where it is full, or null
  const [rank, noise_share, noise_rank, least, times, above_noise, faintest] = K.digit_levels
  const n = counts(fill(bits(missing), i => float(255*missing.a[i]))), threshold = otsu(n)
  const some = holds => n.map((v, level) => holds(level) ? v : 0)
  const ink_counts = some(level => level > threshold)
  if (!any(ink_counts)) return null
  const top = percentile(ink_counts, rank)
  const noise = percentile(some(level => level <= noise_share*threshold), noise_rank)
  if (top < least || top < times*noise) return null
  const low = Math.max(above_noise*noise, faintest*top)
  return [low/255, Math.max(top, low+1)/255]
}

function ink(p, dark, window = 0) {
  let g = dark ? p : inverted(p)
  if (longest(g) > K.ink[1]) g = median3(g)
  const missing = light_missing(g, paper(g, window)), levels = digit_levels(missing)
  if (!levels) return like(p, new Float32Array(p.a.length))
  const [faint, full] = levels.map(float), range = float(full-faint)
  const share = v => v < 0 ? 0 : v > 1 ? 1 : v
  return like(p, fill(missing.a, i => share(float(missing.a[i]-faint)/range)))
}

// Ruled lines

const minus = (a, b) => fill(a.slice(), i => b[i] ? 0 : a[i])

function find_rules(mask, run, least, thick) {
  const [shortest, share] = K.find_rules
  run = Math.max(shortest, Math.trunc(run))
  if (!has_run(mask, 0, run)) return like(mask, bits(mask))
  const runs = open_(mask, 1, run)
  const {labels, found} = components(close(runs, 3, run >> 1))
  const long = found.map(c => c.x1-c.x0 > least && c.area < thick*(c.x1-c.x0))
  const rules = like(mask, fill(bits(mask), i => labels[i] && long[labels[i]-1] ? 1 : 0))
  for (let y = 0; y < mask.h; y++) {
    const from = y*mask.w, same_row = total(rules.a.subarray(from, from+mask.w)) > share*mask.w
    if (same_row) for (let i = from; i < from+mask.w; i++) rules.a[i] |= runs.a[i]
  }
  const thicker = dilate(rules, 3, 1).a
  return like(mask, fill(thicker, i => thicker[i] & mask.a[i]))
}

function rule_thickness(rules) {
  const each = []
  for (let x = 0; x < rules.w; x++) {
    let n = 0, edges = 0
    for (let y = 0; y < rules.h; y++) {
      const v = rules.a[y*rules.w+x]
      n += v
      if (v && !(y && rules.a[(y-1)*rules.w+x])) edges++
    }
    if (n) each.push(n/Math.max(1, edges))
  }
  return Math.max(1, Math.trunc(percentile_of(each, K.rule_thickness[0])))
}

function crossing_strokes(mask, rules, beyond) { return open_(mask, rule_thickness(rules)+beyond, 1) }

function is_beside_ink(a, rules) {  // rules from edge to edge, where the other ink ends well before?
  const [solid_ink, most, rest_share, ends, ends_far, begins, begins_far] = K.is_beside_ink
  const rest = like(a, minus(a.a, dilate(rules, 3, 3).a)), solid = erode(above(rest, solid_ink), 2, 2)
  const beside = rows_and_columns(solid), along = rows_and_columns(rules)
  if (total(rules.a) > most*a.a.length || total(rest.a) < rest_share*total(a.a) || !beside) return false
  const edge_to_edge = along.x0 <= ends*a.w && along.x1 >= ends_far*a.w-1
  return edge_to_edge && beside.x0 >= begins*a.w && beside.x1 <= begins_far*a.w
}

function remove_edge_rules(a) {  // `a` itself where there are none
  const [faint, run, least, thick, smallest, ink_level] = K.remove_edge_rules
  for (const turn of [false, true]) {
    const b = turn ? turned(a) : a
    const shortest = Math.max(K.find_rules[0], Math.trunc(run*b.w))
    if (Math.min(b.h, b.w) < smallest || !has_run(b, float(faint), shortest, 4)) continue
    const rules = find_rules(close(above(b, faint), 1, 5), run*b.w, least*b.w, thick*b.h)
    if (!any(rules.a) || !is_beside_ink(b, rules)) continue
    const through = crossing_strokes(above(b, ink_level), rules, 4).a, wide = dilate(rules, 3, 3).a
    const left = like(b, fill(b.a.slice(), i => wide[i] > through[i] ? 0 : b.a[i]))
    a = turn ? turned(left) : left
  }
  return a
}

// Marks

function find_marks(a) {
  const [level, gaps] = K.find_marks, mask = above(a, level), at = rows_and_columns(mask)
  const gap = at ? Math.trunc(gaps*Math.max(at.x1-at.x0, at.y1-at.y0)) : 0
  const {labels, found} = components(dilate(mask, 2*gap+1, 2*gap+1))
  for (const m of found) {
    m.ink = 0
    m.edge = m.x0 <= 0 || m.y0 <= 0 || m.x1 >= a.w || m.y1 >= a.h
  }
  for (let i = 0; i < labels.length; i++) if (labels[i] && mask.a[i]) found[labels[i]-1].ink += a.a[i]
  return {labels, found, h: a.h, w: a.w}
}

const best_of = values => values.reduce((best, v, i) => v > values[best] ? i : best, 0)

function main_mark(m) {
  const [middle, , near, far, less] = K.main_mark
  return best_of(m.found.map(c => {
    const off = Math.hypot(c.x/m.w-middle, c.y/m.h-middle)
    return c.ink*Math.exp(-((off/near)**2))*(c.edge && off > far ? less : 1)
  }))
}

function belongs(c, to) {
  const [overlap, high, near] = K.belongs
  const across = Math.max(c.x0-to.x1, to.x0-c.x1, 0), along = Math.max(c.y0-to.y1, to.y0-c.y1, 0)
  const size = Math.max(to.x1-to.x0, to.y1-to.y0), shared = Math.min(c.x1, to.x1)-Math.max(c.x0, to.x0)
  if (shared > overlap*Math.min(c.x1-c.x0, to.x1-to.x0)) return along < high*size
  return Math.max(across, along) < near*size
}

function box_of(m, parts) {
  const of = (name, f) => f(...parts.map(i => m.found[i][name]))
  return {x0: of('x0', Math.min), y0: of('y0', Math.min), x1: of('x1', Math.max), y1: of('y1', Math.max)}
}

function parts_of_digit(m) {  // the main mark first
  const main = main_mark(m), {ink: most, edge} = m.found[main]
  let parts = [main]
  let left = m.found.map((_, i) => i).filter(i => i !== main).sort((i, j) => m.found[j].ink-m.found[i].ink)
  left = left.filter(i => m.found[i].ink > K.parts_of_digit[0]*most && (edge || !m.found[i].edge))
  for (;;) {
    const box = box_of(m, parts), more = left.filter(i => belongs(m.found[i], box))
    if (!more.length) return parts
    parts = [...parts, ...more]
    left = left.filter(i => !more.includes(i))
  }
}

// MNIST's form

function crop(a) {  // null where there is no ink
  const at = rows_and_columns(a, float(K.crop[0]))
  return at && part(a, at.x0, at.y0, at.x1+1, at.y1+1)
}

function resized(a, side) {
  const f = side/longest(a)
  const out = resize(a, sized(a.h, f), sized(a.w, f), f < 1 ? 'area' : 'cubic')
  return like(out, out.a.map(v => Math.min(1, Math.max(0, v))))
}

function pen_width(a) {
  const [level, slack] = K.pen_width, away = distances(above(a, level)), wide = dilate(away, 3, 3).a
  let sum = 0, n = 0
  for (let i = 0; i < wide.length; i++) if (away.a[i] > 0 && away.a[i] >= float(wide[i]-slack)) {
    sum += away.a[i]
    n++
  }
  return n ? 2*sum/n-1 : 0
}

function fit_pen(a) {
  const scale = K.pen_scale, width = pen_width(a)/scale, [thin, thick] = K.pen_range
  const aim = 0 < width && width < thin ? K.pen_aims[0] : width > thick ? K.pen_aims[1] : width
  const change = even((aim-width)*scale)
  return {a: change ? brushed(a, Math.abs(change)+1, change < 0) : a, width}
}

function centred(a) {
  let sum = 0, sx = 0, sy = 0
  for (let y = 0, i = 0; y < a.h; y++) for (let x = 0; x < a.w; x++, i++) {
    sum += a.a[i]; sx += a.a[i]*x; sy += a.a[i]*y
  }
  const place = (n, s) => Math.min(Math.max(even(14-s/sum), 0), 28-n)
  const out = new Uint8Array(784), left = place(a.w, sx), top = place(a.h, sy)
  for (let y = 0; y < a.h; y++) for (let x = 0; x < a.w; x++)
    out[(top+y)*28+left+x] = even(float(255*a.a[y*a.w+x]))
  return out
}

function normalise_digit(a) {  // 28x28 levels, and the pen's width
  const [side, margin, box] = K.normalise_digit
  let cut = crop(a), width = 0
  if (cut) {
    const pen = fit_pen(padded(resized(cut, side), margin))
    cut = crop(pen.a)
    width = pen.width
  }
  return {x: cut ? centred(resized(cut, box)) : new Uint8Array(784), width}
}
