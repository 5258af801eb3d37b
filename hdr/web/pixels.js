// What OpenCV and NumPy do to pictures, with their roundings.
// A picture is {h, w, a}: rows one after the other.

const picture = (h, w, a) => ({h, w, a})
const like = (p, a) => ({h: p.h, w: p.w, a})
const float = Math.fround
const bits = p => new Uint8Array(p.h*p.w)

function even(x) {  // to the nearest whole number, halves to the even one
  const r = Math.floor(x+.5)
  return r-x === .5 && r % 2 ? r-1 : r
}

function fill(out, f) {  // with values by place
  for (let i = 0; i < out.length; i++) out[i] = f(i)
  return out
}

function inverted(p) { return like(p, fill(bits(p), i => 255-p.a[i])) }

function above(p, level) {  // 1 where more than that
  const out = bits(p), least = float(level)
  for (let i = 0; i < out.length; i++) out[i] = p.a[i] > least ? 1 : 0
  return like(p, out)
}

function turned(p) {  // rows for columns
  const out = new p.a.constructor(p.a.length), {h, w, a} = p
  for (let y = 0; y < h; y++) for (let x = 0, i = y*w; x < w; x++) out[x*h+y] = a[i++]
  return picture(w, h, out)
}

function part(p, x0, y0, x1, y1) {
  const w = x1-x0, out = new p.a.constructor(w*(y1-y0))
  for (let y = y0; y < y1; y++) out.set(p.a.subarray(y*p.w+x0, y*p.w+x1), (y-y0)*w)
  return picture(y1-y0, w, out)
}

function padded(p, by, edge = false) {  // with zeros, or with what is at the edge
  const h = p.h+2*by, w = p.w+2*by, out = new p.a.constructor(h*w)
  const inside = (v, n) => Math.min(Math.max(v-by, 0), n-1)
  for (let y = 0; y < h; y++) {
    if (!edge && (y < by || y >= by+p.h)) continue
    const from = inside(y, p.h)*p.w, to = y*w
    for (let x = 0; x < p.w; x++) out[to+by+x] = p.a[from+x]
    if (edge) for (let x = 0; x < by; x++) { out[to+x] = p.a[from]; out[to+by+p.w+x] = p.a[from+p.w-1] }
  }
  return picture(h, w, out)
}

// Percentiles, by counting

function counts(values) {
  const n = new Uint32Array(256)
  for (const v of values) n[v]++
  return n
}

function percentile(n, q, as_float = false) {  // of what `counts` counted
  const total = n.reduce((s, v) => s+v, 0)
  const at = as_float ? float((total-1)*float(float(q)/100)) : (total-1)*(q/100)
  const low = Math.floor(at), t = at-low
  const ranked = k => { let seen = 0, v = 0; while ((seen += n[v]) <= k) v++; return v }
  const a = ranked(low), b = ranked(Math.min(low+1, total-1))
  return t < .5 ? a+(b-a)*t : b-(b-a)*(1-t)
}

function percentile_of(values, q) {  // of a few numbers of any kind
  const sorted = Float64Array.from(values).sort(), at = (sorted.length-1)*(q/100), low = Math.floor(at)
  const a = sorted[low], b = sorted[Math.min(low+1, sorted.length-1)], t = at-low
  return t < .5 ? a+(b-a)*t : b-(b-a)*(1-t)
}

function otsu(n) {  // level that parts two classes best
  const total = n.reduce((s, v) => s+v, 0), tiny = 1.1920929e-7
  let mean = 0, mu1 = 0, q1 = 0, best = 0, level = 0
  for (let i = 0; i < 256; i++) mean += i*n[i]/total
  for (let i = 0; i < 256; i++) {
    const p = n[i]/total
    mu1 *= q1
    q1 += p
    const q2 = 1-q1
    if (Math.min(q1, q2) < tiny || Math.max(q1, q2) > 1-tiny) continue
    mu1 = (mu1+i*p)/q1
    const mu2 = (mean-q1*mu1)/q2, sigma = q1*q2*(mu1-mu2)*(mu1-mu2)
    if (sigma > best) { best = sigma; level = i }
  }
  return level
}

// Sizes: weights of source pixels for each pixel of one axis, first along rows, then along columns

function area_taps(from, to) {
  const scale = from/to, taps = []
  for (let d = 0; d < to; d++) {
    const f1 = d*scale, f2 = f1+scale, cell = Math.min(scale, from-f1), list = []
    const s2 = Math.min(Math.floor(f2), from-1), s1 = Math.min(Math.ceil(f1), s2)
    if (s1-f1 > 1e-3) list.push([s1-1, float((s1-f1)/cell)])
    for (let s = s1; s < s2; s++) list.push([s, float(1/cell)])
    if (f2-s2 > 1e-3) list.push([s2, float(Math.min(f2-s2, 1, cell)/cell)])
    taps.push(list)
  }
  return taps
}

function linear_taps(from, to, area = false) {
  const scale = from/to, taps = []
  for (let d = 0; d < to; d++) {
    let s, f
    if (area) {
      s = Math.floor(d*scale)
      f = float((d+1)-(s+1)/scale)
      f = f <= 0 ? 0 : f-Math.floor(f)
    } else {
      f = float((d+.5)*scale-.5)
      s = Math.floor(f)
      f -= s
    }
    if (s < 0) { s = 0; f = 0 }
    if (s >= from-1) { s = from-1; f = 0 }
    taps.push(f ? [[s, float(1-f)], [s+1, float(f)]] : [[s, 1]])
  }
  return taps
}

function cubic_taps(from, to) {
  const scale = from/to, A = -.75, taps = []
  for (let d = 0; d < to; d++) {
    const f = float((d+.5)*scale-.5), s = Math.floor(f), x = f-s
    const c = [((A*(x+1)-5*A)*(x+1)+8*A)*(x+1)-4*A, ((A+2)*x-(A+3))*x*x+1, ((A+2)*(1-x)-(A+3))*(1-x)*(1-x)+1]
    c.push(1-c[0]-c[1]-c[2])
    taps.push(c.map((v, k) => [Math.min(Math.max(s-1+k, 0), from-1), float(v)]))
  }
  return taps
}

function flat(taps) {  // where each begins, and all of them
  const starts = new Int32Array(taps.length+1), at = [], by = []
  taps.forEach((list, d) => {
    for (const [s, v] of list) { at.push(s); by.push(v) }
    starts[d+1] = at.length
  })
  return {starts, at: Int32Array.from(at), by: Float32Array.from(by)}
}

function weighted(p, columns, rows) {
  const {h, w, a} = p, to_w = columns.length, to_h = rows.length, X = flat(columns), Y = flat(rows)
  const wide = new Float32Array(h*to_w), out = new Float64Array(to_h*to_w)
  for (let y = 0; y < h; y++) for (let x = 0; x < to_w; x++) {
    let sum = 0
    for (let k = X.starts[x]; k < X.starts[x+1]; k++) sum += a[y*w+X.at[k]]*X.by[k]
    wide[y*to_w+x] = sum
  }
  for (let y = 0; y < to_h; y++) for (let k = Y.starts[y]; k < Y.starts[y+1]; k++) {
    const from = Y.at[k]*to_w, v = Y.by[k], to = y*to_w
    for (let x = 0; x < to_w; x++) out[to+x] += wide[from+x]*v
  }
  return out
}

function linear_bytes(p, columns, rows) {  // in whole numbers of 2048 parts
  const {h, w, a} = p, to_w = columns.length, to_h = rows.length, out = new Uint8Array(to_h*to_w)
  const whole = ([[s, v], [t, u] = [s, 0]]) => [s, t, even(v*2048), even(u*2048)]
  const two = taps => Int32Array.from(taps.flatMap(whole))
  const X = two(columns), Y = two(rows), wide = new Int32Array(h*to_w)
  for (let y = 0; y < h; y++) for (let x = 0, k = 0, from = y*w; x < to_w; x++, k += 4)
    wide[y*to_w+x] = a[from+X[k]]*X[k+2]+a[from+X[k+1]]*X[k+3] >> 4
  for (let y = 0; y < to_h; y++) {
    const s = Y[4*y]*to_w, t = Y[4*y+1]*to_w, v = Y[4*y+2], u = Y[4*y+3]
    for (let x = 0; x < to_w; x++) out[y*to_w+x] = (wide[s+x]*v >> 16)+(wide[t+x]*u >> 16)+2 >> 2
  }
  return picture(to_h, to_w, out)
}

function resize(p, h, w, how) {  // 'area', 'linear' or 'cubic'; bytes stay bytes
  if (h === p.h && w === p.w) return p
  const smaller = p.h >= h && p.w >= w
  const taps = (from, to) => how === 'cubic' ? cubic_taps(from, to) :
    how === 'linear' || !smaller ? linear_taps(from, to, how === 'area') : area_taps(from, to)
  const bytes = p.a instanceof Uint8Array
  if (bytes && (how === 'linear' || p.h < h || p.w < w)) return linear_bytes(p, taps(p.w, w), taps(p.h, h))
  const out = weighted(p, taps(p.w, w), taps(p.h, h))
  if (!bytes) return picture(h, w, Float32Array.from(out))
  const halves_up = how === 'area' && p.h === 2*h && p.w === 2*w
  const level = halves_up ? v => Math.floor(v+.5) : even
  return picture(h, w, fill(new Uint8Array(h*w), i => Math.min(255, Math.max(0, level(out[i])))))
}

function reduced(p, by) {  // bytes: means of by x by pixels, as Pillow's `reduce`
  const h = Math.ceil(p.h/by), w = Math.ceil(p.w/by), out = new Uint8Array(h*w), sums = new Uint32Array(w)
  for (let y = 0; y < h; y++) {
    const y1 = Math.min(p.h, y*by+by)
    sums.fill(0)
    for (let v = y*by; v < y1; v++) for (let x = 0; x < p.w; x++) sums[x/by|0] += p.a[v*p.w+x]
    for (let x = 0; x < w; x++) {
      const n = (y1-y*by)*(Math.min(p.w, x*by+by)-x*by)
      out[y*w+x] = Math.floor((sums[x]+(n >> 1))*Math.floor(2**24/n)/2**24)
    }
  }
  return picture(h, w, out)
}

// Neighbourhoods

const middle = (a, b, c) => a < b ? (b < c ? b : a < c ? c : a) : a < c ? a : b < c ? c : b

function median3(p) {  // of 3x3 bytes: of each three in a column first
  const {h, w} = p, wide = padded(p, 1, true), s = wide.w, out = bits(p)
  const low = new Uint8Array(s), mid = new Uint8Array(s), high = new Uint8Array(s)
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < s; x++) {
      const a = wide.a[y*s+x], b = wide.a[(y+1)*s+x], c = wide.a[(y+2)*s+x]
      low[x] = a < b ? (a < c ? a : c) : b < c ? b : c
      high[x] = a > b ? (a > c ? a : c) : b > c ? b : c
      mid[x] = a+b+c-low[x]-high[x]
    }
    for (let x = 0; x < w; x++) {
      const top = Math.max(low[x], low[x+1], low[x+2]), bottom = Math.min(high[x], high[x+1], high[x+2])
      out[y*w+x] = middle(top, middle(mid[x], mid[x+1], mid[x+2]), bottom)
    }
  }
  return like(p, out)
}

// The most (or least) of n pixels, in two runs over blocks of n (van Herk 1992); beyond the edge is nothing

const nothing = (a, least) => a instanceof Uint8Array ? (least ? 255 : 0) : least ? Infinity : -Infinity

function slide_along(p, n, least) {  // rows
  const {h, w, a} = p, left = n >> 1, full = Math.ceil((w+n-1)/n)*n, out = new a.constructor(a.length)
  const line = new a.constructor(full).fill(nothing(a, least)), up = line.slice(), down = line.slice()
  for (let y = 0; y < h; y++) {
    line.set(a.subarray(y*w, (y+1)*w), left)
    for (let start = 0; start < full; start += n) {
      const end = start+n-1
      let u = line[start], d = line[end]
      up[start] = u
      down[end] = d
      if (least) for (let k = 1; k < n; k++) {
        const v = line[start+k], t = line[end-k]
        up[start+k] = u = v < u ? v : u
        down[end-k] = d = t < d ? t : d
      }
      else for (let k = 1; k < n; k++) {
        const v = line[start+k], t = line[end-k]
        up[start+k] = u = v > u ? v : u
        down[end-k] = d = t > d ? t : d
      }
    }
    const to = y*w
    if (least) for (let x = 0; x < w; x++) out[to+x] = down[x] < up[x+n-1] ? down[x] : up[x+n-1]
    else for (let x = 0; x < w; x++) out[to+x] = down[x] > up[x+n-1] ? down[x] : up[x+n-1]
  }
  return like(p, out)
}

function slide_down(p, n, least) {  // columns
  const {h, w, a} = p, top = n >> 1, full = Math.ceil((h+n-1)/n)*n, out = new a.constructor(a.length)
  const up = new a.constructor(full*w).fill(nothing(a, least))
  up.set(a, top*w)
  const down = up.slice()
  for (let y = 1; y < full; y++) if (y % n) pick(up, y*w, up, y*w, up, (y-1)*w, w, least)
  for (let y = full-2; y >= 0; y--) if ((y+1) % n) pick(down, y*w, down, y*w, down, (y+1)*w, w, least)
  for (let y = 0; y < h; y++) pick(out, y*w, down, y*w, up, (y+n-1)*w, w, least)
  return like(p, out)
}

function pick(out, to, a, i, b, j, n, least) {  // the larger (or smaller) of each pair
  if (least) for (let k = 0; k < n; k++) out[to+k] = a[i+k] < b[j+k] ? a[i+k] : b[j+k]
  else for (let k = 0; k < n; k++) out[to+k] = a[i+k] > b[j+k] ? a[i+k] : b[j+k]
}

function spread(p, h, w, least) {
  const rows = w > 1 ? slide_along(p, w, least) : p
  return h > 1 ? slide_down(rows, h, least) : rows
}
const dilate = (p, h, w) => spread(p, h, w, false)
const erode = (p, h, w) => spread(p, h, w, true)
const close = (p, h, w) => erode(dilate(p, h, w), h, w)
const open_ = (p, h, w) => dilate(erode(p, h, w), h, w)

// In rows of what is above a level, after `close(1, gap+1)`: would `erode(1, n)` leave any?
function has_run(p, level, n, gap = 0) {
  const {h, w, a} = p, left = n >> 1, right = n-1-left, slack = gap >> 1
  for (let y = 0; y < h; y++) {
    let x = 0
    while (x < w) {
      while (x < w && !(a[y*w+x] > level)) x++
      if (x === w) break
      let start = x, end = x
      for (x++; x < w && x-end <= gap+1; x++) if (a[y*w+x] > level) end = x
      const begins = start <= slack, ends = end >= w-1-slack
      if (begins) start = 0
      if (ends) end = w-1
      if (end-start+1 >= n || begins && ends) return true
      if (begins && end >= right || ends && w-1-left >= start) return true
    }
  }
  return false
}

function ellipse(n) {  // rows of a round brush: from and up to which column
  const r = n >> 1
  return Array.from({length: n}, (_, i) => {
    const d = i-r, x = Math.abs(d) <= r && r ? even(r*Math.sqrt((r*r-d*d)/(r*r))) : 0
    return [Math.max(r-x, 0), Math.min(r+x+1, n)]
  })
}

function brushed(p, n, least) {  // the most (or least) under a round brush of n pixels
  const {h, w, a} = p, r = n >> 1, out = new Float32Array(h*w), rows = ellipse(n)
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    let best = least ? Infinity : -Infinity
    for (let i = 0; i < n; i++) {
      const v = y+i-r
      if (v < 0 || v >= h) continue
      const end = Math.min(w, x+rows[i][1]-r)
      for (let u = Math.max(0, x+rows[i][0]-r); u < end; u++) {
        const one = a[v*w+u]
        if (least ? one < best : one > best) best = one
      }
    }
    out[y*w+x] = best
  }
  return like(p, out)
}

function box_blur(p, n, margin) {  // means of n x n bytes, without a margin of at least n/2
  const {h, w, a} = p, r = n >> 1, to_h = h-2*margin, to_w = w-2*margin
  const columns = new Float64Array(w), out = new Uint8Array(to_h*to_w), all = n*n
  for (let y = margin-r; y < margin+r; y++) for (let x = 0; x < w; x++) columns[x] += a[y*w+x]
  for (let y = 0; y < to_h; y++) {
    const enters = (margin+y+r)*w, leaves = (margin+y-r)*w
    for (let x = 0; x < w; x++) columns[x] += a[enters+x]
    let sum = 0
    for (let x = margin-r; x < margin+r; x++) sum += columns[x]
    for (let x = 0; x < to_w; x++) {
      sum += columns[margin+x+r]
      out[y*to_w+x] = even(sum/all)
      sum -= columns[margin+x-r]
    }
    for (let x = 0; x < w; x++) columns[x] -= a[leaves+x]
  }
  return picture(to_h, to_w, out)
}

function distances(mask) {  // to the nearest 0, by steps of 1, 1.4 and 2.1969 (Borgefors 1986)
  const {h, w} = mask, s = w+4, far = 2**29, out = new Float32Array(h*w)
  const [near, across, long] = [1, 1.4, 2.1969].map(v => even(v*65536))
  const t = new Float64Array((h+4)*s).fill(far)
  const steps = [[-2*s-1, long], [-2*s+1, long], [-s-2, long], [-s-1, across], [-s, near], [-s+1, across],
    [-s+2, long], [-1, near]]
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    const i = (y+2)*s+x+2
    if (!mask.a[y*w+x]) { t[i] = 0; continue }
    let best = far
    for (const [d, v] of steps) if (t[i+d]+v < best) best = t[i+d]+v
    t[i] = best
  }
  for (let y = h-1; y >= 0; y--) for (let x = w-1; x >= 0; x--) {
    const i = (y+2)*s+x+2
    let best = t[i]
    if (best > near) for (const [d, v] of steps) if (t[i-d]+v < best) best = t[i-d]+v
    t[i] = best
    out[y*w+x] = best/65536
  }
  return like(mask, out)
}

function components(mask) {  // what hangs together, corners too: labels from 1, boxes, areas, centres
  const {h, w, a} = mask, labels = new Int32Array(h*w), stack = [], found = []
  for (let start = 0; start < a.length; start++) {
    if (!a[start] || labels[start]) continue
    const one = {x0: w, y0: h, x1: 0, y1: 0, area: 0, x: 0, y: 0}
    found.push(one)
    labels[start] = found.length
    stack.push(start)
    while (stack.length) {
      const i = stack.pop(), x = i % w, y = (i-x)/w
      one.x0 = Math.min(one.x0, x); one.x1 = Math.max(one.x1, x+1)
      one.y0 = Math.min(one.y0, y); one.y1 = Math.max(one.y1, y+1)
      one.area++; one.x += x; one.y += y
      for (let v = Math.max(0, y-1); v <= Math.min(h-1, y+1); v++)
        for (let u = Math.max(0, x-1); u <= Math.min(w-1, x+1); u++)
          if (a[v*w+u] && !labels[v*w+u]) { labels[v*w+u] = found.length; stack.push(v*w+u) }
    }
    one.x /= one.area; one.y /= one.area
  }
  return {labels, found}
}
