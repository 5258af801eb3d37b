// A network from its plain arrays: a list of layers, as hdr/pad.py takes it from Keras' description.

function from_base64(text) {
  const raw = atob(text), out = new Uint8Array(raw.length)
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i)
  return out
}

function from_half(bytes) {  // float16, the lower byte first
  const out = new Float32Array(bytes.length >> 1)
  for (let i = 0; i < out.length; i++) {
    const v = bytes[2*i] | bytes[2*i+1] << 8, e = v >> 10 & 31, m = v & 1023
    const size = e === 0 ? m*2**-24 : e === 31 ? (m ? NaN : Infinity) : (1+m/1024)*2**(e-15)
    out[i] = v >> 15 ? -size : size
  }
  return out
}

const image = (h, w, c, a) => ({h, w, c, a: a || new Float32Array(h*w*c)})
const same = (n, k, step) => [Math.ceil(n/step), Math.max(0, (Math.ceil(n/step)-1)*step+k-n) >> 1]

// `depth` values times n weights each, added up: four values at a time, those that are not 0
function add_up(a, from, depth, k, row, sum, n) {
  let c = 0
  while (c < depth) {
    let n0 = -1, n1 = -1, n2 = -1, n3 = -1
    while (c < depth && n3 < 0) {
      if (a[from+c] === 0) ;
      else if (n0 < 0) n0 = c
      else if (n1 < 0) n1 = c
      else if (n2 < 0) n2 = c
      else n3 = c
      c++
    }
    if (n0 < 0) return
    const v0 = a[from+n0], r0 = row+n0*n
    if (n3 < 0) {
      for (const m of [n0, n1, n2]) if (m >= 0)
        for (let o = 0, v = a[from+m], r = row+m*n; o < n; o++) sum[o] += v*k[r+o]
      continue
    }
    const v1 = a[from+n1], v2 = a[from+n2], v3 = a[from+n3], r1 = row+n1*n, r2 = row+n2*n, r3 = row+n3*n
    for (let o = 0; o < n; o++) sum[o] += v0*k[r0+o]+v1*k[r1+o]+v2*k[r2+o]+v3*k[r3+o]
  }
}

const kinds = {
  Conv2D({kernel: [kh, kw], step}, [v], [k]) {
    const [h, top] = same(v.h, kh, step), [w, left] = same(v.w, kw, step)
    const depth = v.c, n = k.length/(kh*kw*depth)
    const out = image(h, w, n), sum = new Float64Array(n), a = v.a
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
      sum.fill(0)
      for (let i = 0; i < kh; i++) for (let j = 0; j < kw; j++) {
        const r = y*step+i-top, s = x*step+j-left
        if (r < 0 || s < 0 || r >= v.h || s >= v.w) continue
        add_up(a, (r*v.w+s)*depth, depth, k, (i*kw+j)*depth*n, sum, n)
      }
      out.a.set(sum, (y*w+x)*n)
    }
    return out
  },
  BatchNormalization({epsilon}, [v], [gamma, beta, mean, variance]) {
    const by = gamma.map((g, c) => g/Math.sqrt(variance[c]+epsilon))
    const plus = beta.map((b, c) => b-mean[c]*by[c])
    return image(v.h, v.w, v.c, v.a.map((one, i) => one*by[i % v.c]+plus[i % v.c]))
  },
  ReLU(_, [v]) { return image(v.h, v.w, v.c, v.a.map(one => one > 0 ? one : 0)) },
  MaxPooling2D({size}, [v]) {
    const h = Math.floor(v.h/size), w = Math.floor(v.w/size), out = image(h, w, v.c)
    out.a.fill(-Infinity)
    for (let y = 0; y < h*size; y++) for (let x = 0; x < w*size; x++) {
      const from = (y*v.w+x)*v.c, to = (Math.floor(y/size)*w+Math.floor(x/size))*v.c
      for (let c = 0; c < v.c; c++) if (v.a[from+c] > out.a[to+c]) out.a[to+c] = v.a[from+c]
    }
    return out
  },
  GlobalAveragePooling2D(_, [v]) {
    const out = image(1, 1, v.c)
    v.a.forEach((one, i) => { out.a[i % v.c] += one })
    return image(1, 1, v.c, out.a.map(one => one/(v.h*v.w)))
  },
  GlobalMaxPooling2D(_, [v]) {
    const out = image(1, 1, v.c)
    out.a.fill(-Infinity)
    v.a.forEach((one, i) => { if (one > out.a[i % v.c]) out.a[i % v.c] = one })
    return out
  },
  Concatenate(_, parts) {
    const all = Float32Array.from(parts.flatMap(v => [...v.a]))
    return image(1, 1, all.length, all)
  },
  Dense({activation}, [v], [k, bias]) {
    const n = bias.length, z = Float64Array.from(bias)
    for (let c = 0; c < v.c; c++) for (let o = 0; o < n; o++) z[o] += v.a[c]*k[c*n+o]
    if (activation === 'sigmoid') return image(1, 1, n, Float32Array.from(z, one => 1/(1+Math.exp(-one))))
    const top = Math.max(...z), e = z.map(one => Math.exp(one-top)), sum = total(e)
    return image(1, 1, n, Float32Array.from(e, one => one/sum))
  }
}

class Network {  // what hdr.networks.Network is in Python
  constructor({layers, weights, card}) {
    const numbers = from_half(weights instanceof Uint8Array ? weights : from_base64(weights))
    let at = 0
    const next = n => Float64Array.from(numbers.subarray(at, at += n))
    this.layers = layers.map(l => ({...l, arrays: l.sizes.map(next)}))
    this.card = card
  }
  outputs(x) {  // of 28x28 levels 0..255
    const made = [image(28, 28, 1, Float32Array.from(x, v => v/255))]
    for (const l of this.layers) made.push(kinds[l.kind](l, l.from.map(i => made[i]), l.arrays))
    return made[made.length-1].a
  }
}
