package gguf

import "math"

// One decoder and one encoder for each type, for one block. Where a product is converted to float32 before a sum, that
// keeps the compiler from fusing the two on machines that could: every platform gives the same bits.

func half(b []byte, at int) float32 { return F16ToF32(le.Uint16(b[at:])) }

// levels is the table of IQ4_NL.
var levels = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func decodeF32(dst []float32, b []byte)  { dst[0] = math.Float32frombits(le.Uint32(b)) }
func decodeF16(dst []float32, b []byte)  { dst[0] = half(b, 0) }
func decodeBF16(dst []float32, b []byte) { dst[0] = BF16ToF32(le.Uint16(b)) }

func decodeQ8_0(dst []float32, b []byte) {
	d := half(b, 0)
	for i, q := range b[2:34] {
		dst[i] = d * float32(int8(q))
	}
}

func decodeQ4_0(dst []float32, b []byte) {
	d := half(b, 0)
	for i, q := range b[2:18] {
		dst[i] = d * float32(int(q&15)-8)
		dst[i+16] = d * float32(int(q>>4)-8)
	}
}

func decodeQ4_1(dst []float32, b []byte) {
	d, m := half(b, 0), half(b, 2)
	for i, q := range b[4:20] {
		dst[i] = float32(d*float32(q&15)) + m
		dst[i+16] = float32(d*float32(q>>4)) + m
	}
}

func decodeIQ4_NL(dst []float32, b []byte) {
	d := half(b, 0)
	for i, q := range b[2:18] {
		dst[i] = d * float32(levels[q&15])
		dst[i+16] = d * float32(levels[q>>4])
	}
}

// five is the five-bit integer of element i: a nibble, and its fifth bit out of the 32 in high.
func five(nibbles []byte, high uint32, i int) int {
	return int(nibbles[i&15]>>(i>>4*4)&15) | int(high>>i&1)<<4
}

func decodeQ5_0(dst []float32, b []byte) {
	d, high := half(b, 0), le.Uint32(b[2:])
	for i := range dst {
		dst[i] = d * float32(five(b[6:], high, i)-16)
	}
}

func decodeQ5_1(dst []float32, b []byte) {
	d, m, high := half(b, 0), half(b, 2), le.Uint32(b[4:])
	for i := range dst {
		dst[i] = float32(d*float32(five(b[8:], high, i))) + m
	}
}

// scaleMin unpacks the six-bit scale and minimum of group j out of the twelve bytes that hold eight of each: the first
// four lie in the low bits of the first eight bytes, the others' low nibbles in the last four and their upper two bits
// where the first eight have room.
func scaleMin(p []byte, j int) (scale, min byte) {
	if j < 4 {
		return p[j] & 63, p[j+4] & 63
	}
	return p[j+4]&15 | p[j-4]>>6<<4, p[j+4]>>4 | p[j]>>6<<4
}

func decodeQ4_K(dst []float32, b []byte) {
	d, dmin := half(b, 0), half(b, 2)
	for j := range 8 {
		s, m := scaleMin(b[4:16], j)
		ds, dm := d*float32(s), dmin*float32(m)
		for i, q := range b[16+j/2*32:][:32] {
			dst[32*j+i] = float32(ds*float32(q>>(j&1*4)&15)) - dm
		}
	}
}

func decodeQ5_K(dst []float32, b []byte) {
	d, dmin := half(b, 0), half(b, 2)
	for j := range 8 {
		s, m := scaleMin(b[4:16], j)
		ds, dm := d*float32(s), dmin*float32(m)
		for i, q := range b[48+j/2*32:][:32] {
			dst[32*j+i] = float32(ds*float32(q>>(j&1*4)&15|b[16+i]>>j&1<<4)) - dm
		}
	}
}

// six is the six-bit integer of element i of a super-block: each half of it has 64 bytes of nibbles, first all low ones,
// and 32 bytes of upper bits, two for each of its four groups.
func six(b []byte, i int) int {
	h, g, j := i>>7, i>>5&3, i&31
	return int(b[64*h+g&1*32+j]>>(g>>1*4)&15 | b[128+32*h+j]>>(2*g)&3<<4)
}

func decodeQ6_K(dst []float32, b []byte) {
	d := half(b, 208)
	for i := range dst {
		dst[i] = float32(d*float32(int8(b[192+i>>4]))) * float32(six(b, i)-32)
	}
}

// scale returns d as the file will hold it, and its inverse.
func scale(d float32) (uint16, float32) {
	h := F32ToF16(d)
	if d = F16ToF32(h); d == 0 {
		return h, 0
	}
	return h, 1 / d
}

// step rounds to an integer within 0 and top; NaN gives anything.
func step(v float32, top float64) byte { return byte(min(top, max(0, math.Round(float64(v))))) }

func bounds(x []float32) (lo, hi float32) {
	lo, hi = x[0], x[0]
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v) // NaN wins both
	}
	return lo, hi
}

// extreme is the element of largest magnitude.
func extreme(x []float32) float32 {
	lo, hi := bounds(x)
	if hi > -lo {
		return hi
	}
	return lo
}

func encodeF32(out []byte, x []float32) []byte  { return le.AppendUint32(out, math.Float32bits(x[0])) }
func encodeF16(out []byte, x []float32) []byte  { return le.AppendUint16(out, F32ToF16(x[0])) }
func encodeBF16(out []byte, x []float32) []byte { return le.AppendUint16(out, F32ToBF16(x[0])) }

func encodeQ8_0(out []byte, x []float32) []byte {
	lo, hi := bounds(x)
	h, inv := scale(max(-lo, hi) / 127)
	out = le.AppendUint16(out, h)
	for _, v := range x {
		out = append(out, byte(int8(min(127, max(-127, math.Round(float64(v*inv)))))))
	}
	return out
}

// fives packs 32 integers: the fifth bits as a number, low nibbles of the first and second half together.
func fives(q [32]byte) (high uint32, nibbles []byte) {
	for i, v := range q {
		high |= uint32(v>>4) << i
	}
	for i := range 16 {
		nibbles = append(nibbles, q[i]&15|q[i+16]<<4)
	}
	return high, nibbles
}

// The extreme of larger magnitude becomes the lowest integer, as that end of the range has one step more.
func symmetric(x []float32, offset float32) (d uint16, q [32]byte) {
	d, inv := scale(extreme(x) / -offset)
	for i, v := range x {
		q[i] = step(v*inv+offset, float64(2*offset-1))
	}
	return d, q
}

func affine(x []float32, top float32) (d, m uint16, q [32]byte) {
	lo, hi := bounds(x)
	d, inv := scale((hi - lo) / top)
	m = F32ToF16(lo)
	for i, v := range x {
		q[i] = step((v-F16ToF32(m))*inv, float64(top))
	}
	return d, m, q
}

func encodeQ4_0(out []byte, x []float32) []byte {
	d, q := symmetric(x, 8)
	_, nibbles := fives(q)
	return append(le.AppendUint16(out, d), nibbles...)
}

func encodeQ4_1(out []byte, x []float32) []byte {
	d, m, q := affine(x, 15)
	_, nibbles := fives(q)
	return append(le.AppendUint16(le.AppendUint16(out, d), m), nibbles...)
}

func encodeQ5_0(out []byte, x []float32) []byte {
	d, q := symmetric(x, 16)
	high, nibbles := fives(q)
	return append(le.AppendUint32(le.AppendUint16(out, d), high), nibbles...)
}

func encodeQ5_1(out []byte, x []float32) []byte {
	d, m, q := affine(x, 31)
	high, nibbles := fives(q)
	return append(le.AppendUint32(le.AppendUint16(le.AppendUint16(out, d), m), high), nibbles...)
}

func encodeIQ4_NL(out []byte, x []float32) []byte {
	d, inv := scale(extreme(x) / float32(levels[0]))
	var q [32]byte
	for i, v := range x {
		for j, l := range levels {
			if math.Abs(float64(v*inv-float32(l))) < math.Abs(float64(v*inv-float32(levels[q[i]]))) {
				q[i] = byte(j)
			}
		}
	}
	_, nibbles := fives(q)
	return append(le.AppendUint16(out, d), nibbles...)
}

// groups finds the scale and minimum of each of eight groups, packed as scaleMin reads them, and the integers.
func groups(x []float32, top float32) (head []byte, q [256]byte) {
	var lows, steps [8]float32
	for j := range 8 {
		lo, hi := bounds(x[32*j:][:32])
		lo = min(lo, 0) // minima are subtracted and cannot be negative
		lows[j], steps[j] = -lo, (hi-lo)/top
	}
	_, most := bounds(steps[:])
	_, least := bounds(lows[:])
	d, inv := scale(most / 63)
	dmin, invMin := scale(least / 63)
	head = le.AppendUint16(le.AppendUint16(nil, d), dmin)
	head = append(head, make([]byte, 12)...)
	p := head[4:]
	for j := range 8 {
		s, m := step(steps[j]*inv, 63), step(lows[j]*invMin, 63)
		if j < 4 {
			p[j], p[j+4] = s, m
		} else {
			p[j+4] = s&15 | m<<4
			p[j-4] |= s >> 4 << 6
			p[j] |= m >> 4 << 6
		}
		ds, dm := F16ToF32(d)*float32(s), F16ToF32(dmin)*float32(m)
		for i, v := range x[32*j:][:32] {
			if ds != 0 {
				q[32*j+i] = step((v+dm)/ds, float64(top))
			}
		}
	}
	return head, q
}

// pairs packs the low nibbles of two groups at a time.
func pairs(out []byte, q [256]byte) []byte {
	for j := 0; j < 256; j += 64 {
		for i := range 32 {
			out = append(out, q[j+i]&15|q[j+32+i]<<4)
		}
	}
	return out
}

func encodeQ4_K(out []byte, x []float32) []byte {
	head, q := groups(x, 15)
	return pairs(append(out, head...), q)
}

func encodeQ5_K(out []byte, x []float32) []byte {
	head, q := groups(x, 31)
	out = append(out, head...)
	for i := range 32 {
		var high byte
		for j := range 8 {
			high |= q[32*j+i] >> 4 << j
		}
		out = append(out, high)
	}
	return pairs(out, q)
}

func encodeQ6_K(out []byte, x []float32) []byte {
	var steps [16]float32
	for j := range steps {
		steps[j] = extreme(x[16*j:][:16]) / -32
	}
	d, inv := scale(extreme(steps[:]) / -128)
	b := make([]byte, 210)
	for j := range steps {
		s := int8(min(127, max(-128, math.Round(float64(steps[j]*inv)))))
		b[192+j] = byte(s)
		ds := F16ToF32(d) * float32(s)
		for i := 16 * j; i < 16*j+16; i++ {
			q := byte(32)
			if ds != 0 {
				q = step(x[i]/ds+32, 63)
			}
			h, g, k := i>>7, i>>5&3, i&31
			b[64*h+g&1*32+k] |= q & 15 << (g >> 1 * 4)
			b[128+32*h+k] |= q >> 4 << (2 * g)
		}
	}
	le.PutUint16(b[208:], d)
	return append(out, b...)
}
