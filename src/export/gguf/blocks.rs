//! The number formats of tensors in GGUF files. Most quantise blocks of numbers, each with a scale or several.

use std::array;

use half::{bf16, f16};

/// A number format.
pub(super) struct Format {
    pub name: &'static str,
    number: u32,
    /// Numbers of a block.
    pub block: usize,
    /// Bytes of a block.
    pub bytes: usize,
    /// Turns the bytes of a block into its numbers; `None` where nobody does here.
    pub decode: Option<Decode>,
}

/// Turns the bytes of a block into its numbers.
pub(super) type Decode = fn(&[u8], &mut [f32]);

impl Format {
    pub(super) fn find(number: u32) -> Option<&'static Self> {
        FORMATS.iter().find(|format| format.number == number)
    }

    const fn new(name: &'static str, number: u32, block: usize, bytes: usize, decode: Decode) -> Self {
        Self { name, number, block, bytes, decode: Some(decode) }
    }

    /// A format that is known by name alone.
    const fn named(name: &'static str, number: u32, block: usize, bytes: usize) -> Self {
        Self { name, number, block, bytes, decode: None }
    }
}

const FORMATS: &[Format] = &[
    Format::new("F32", 0, 1, 4, |bytes, numbers| numbers[0] = f32::from_le_bytes(four(bytes, 0))),
    Format::new("F16", 1, 1, 2, |bytes, numbers| numbers[0] = half(bytes, 0)),
    Format::new("BF16", 30, 1, 2, |bytes, numbers| numbers[0] = bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32()),
    Format::new("F64", 28, 1, 8, |bytes, numbers| {
        numbers[0] = f64::from_le_bytes(array::from_fn(|place| bytes[place])) as f32;
    }),
    Format::new("Q4_0", 2, 32, 18, q4_0),
    Format::new("Q4_1", 3, 32, 20, q4_1),
    Format::new("Q5_0", 6, 32, 22, q5_0),
    Format::new("Q5_1", 7, 32, 24, q5_1),
    Format::new("Q8_0", 8, 32, 34, q8_0),
    Format::new("Q2_K", 10, 256, 84, q2_k),
    Format::new("Q3_K", 11, 256, 110, q3_k),
    Format::new("Q4_K", 12, 256, 144, q4_k),
    Format::new("Q5_K", 13, 256, 176, q5_k),
    Format::new("Q6_K", 14, 256, 210, q6_k),
    Format::new("IQ4_NL", 20, 32, 18, iq4_nl),
    Format::new("IQ4_XS", 23, 256, 136, iq4_xs),
    Format::new("MXFP4", 39, 32, 17, mxfp4),
    Format::named("Q8_1", 9, 32, 36),
    Format::named("Q8_K", 15, 256, 292),
    Format::named("IQ2_XXS", 16, 256, 66),
    Format::named("IQ2_XS", 17, 256, 74),
    Format::named("IQ3_XXS", 18, 256, 98),
    Format::named("IQ1_S", 19, 256, 50),
    Format::named("IQ3_S", 21, 256, 110),
    Format::named("IQ2_S", 22, 256, 82),
    Format::named("I8", 24, 1, 1),
    Format::named("I16", 25, 1, 2),
    Format::named("I32", 26, 1, 4),
    Format::named("I64", 27, 1, 8),
    Format::named("IQ1_M", 29, 256, 56),
    Format::named("TQ1_0", 34, 256, 54),
    Format::named("TQ2_0", 35, 256, 66),
];

fn four(bytes: &[u8], place: usize) -> [u8; 4] {
    array::from_fn(|index| bytes[place + index])
}

fn half(bytes: &[u8], place: usize) -> f32 {
    f16::from_le_bytes([bytes[place], bytes[place + 1]]).to_f32()
}

/// The lower halves of bytes and then the upper ones, each with its place.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let lower = bytes.iter().map(|byte| byte & 15);
    let upper = bytes.iter().map(|byte| byte >> 4);
    lower.chain(upper).enumerate()
}

fn q4_0(bytes: &[u8], numbers: &mut [f32]) {
    let scale = half(bytes, 0);
    nibbles(&bytes[2..]).for_each(|(place, code)| numbers[place] = (f32::from(code) - 8.0) * scale);
}

fn q4_1(bytes: &[u8], numbers: &mut [f32]) {
    let (scale, least) = (half(bytes, 0), half(bytes, 2));
    nibbles(&bytes[4..]).for_each(|(place, code)| numbers[place] = f32::from(code) * scale + least);
}

/// Codes of five bits, whose highest bits lie together.
fn five_bits(high: [u8; 4], low: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let high = u32::from_le_bytes(high);
    nibbles(low).map(move |(place, code)| (place, code | ((high >> place & 1) << 4) as u8))
}

fn q5_0(bytes: &[u8], numbers: &mut [f32]) {
    let scale = half(bytes, 0);
    five_bits(four(bytes, 2), &bytes[6..]).for_each(|(place, code)| numbers[place] = (f32::from(code) - 16.0) * scale);
}

fn q5_1(bytes: &[u8], numbers: &mut [f32]) {
    let (scale, least) = (half(bytes, 0), half(bytes, 2));
    five_bits(four(bytes, 4), &bytes[8..]).for_each(|(place, code)| numbers[place] = f32::from(code) * scale + least);
}

fn q8_0(bytes: &[u8], numbers: &mut [f32]) {
    let scale = half(bytes, 0);
    for (number, byte) in numbers.iter_mut().zip(&bytes[2..]) {
        *number = f32::from(*byte as i8) * scale;
    }
}

/// The codes of two bits that lie `part` of 4 in each of 32 bytes of one half of a block of 256: of number `place`.
fn two_bits(bytes: &[u8], place: usize) -> u8 {
    let (half, part, index) = (place / 128, place / 32 % 4, place % 32);
    bytes[32 * half + index] >> (2 * part) & 3
}

fn q2_k(bytes: &[u8], numbers: &mut [f32]) {
    let (scales, codes) = bytes.split_at(16);
    let (scale, least) = (half(bytes, 80), half(bytes, 82));
    for (place, number) in numbers.iter_mut().enumerate() {
        let own = scales[place / 16];
        *number = scale * f32::from(own & 15) * f32::from(two_bits(codes, place)) - least * f32::from(own >> 4);
    }
}

fn q3_k(bytes: &[u8], numbers: &mut [f32]) {
    let (high, codes, scales) = (&bytes[..32], &bytes[32..96], &bytes[96..108]);
    let scale = half(bytes, 108);
    let own = |index: usize| {
        let low = if index < 8 { scales[index] & 15 } else { scales[index - 8] >> 4 };
        let high = scales[8 + index % 4] >> (2 * (index / 4)) & 3;
        f32::from((low | high << 4) as i8 - 32)
    };
    for (place, number) in numbers.iter_mut().enumerate() {
        let is_high = high[place % 32] >> (place / 32) & 1 == 1;
        let code = f32::from(two_bits(codes, place)) - if is_high { 0.0 } else { 4.0 };
        *number = scale * own(place / 16) * code;
    }
}

/// The scale and the minimum of the group `index` of 8, six bits each.
fn scale_and_minimum(scales: &[u8], index: usize) -> (f32, f32) {
    let (scale, minimum) = match index < 4 {
        true => (scales[index] & 63, scales[index + 4] & 63),
        false => {
            (scales[index + 4] & 15 | scales[index - 4] >> 6 << 4, scales[index + 4] >> 4 | scales[index] >> 6 << 4)
        }
    };
    (f32::from(scale), f32::from(minimum))
}

/// The code of four bits of number `place` of a block of 256: groups of 32 lie in pairs in the halves of 32 bytes.
fn four_bits(bytes: &[u8], place: usize) -> u8 {
    let byte = bytes[place / 64 * 32 + place % 32];
    if (place / 32).is_multiple_of(2) { byte & 15 } else { byte >> 4 }
}

fn q4_k(bytes: &[u8], numbers: &mut [f32]) {
    let (scale, least) = (half(bytes, 0), half(bytes, 2));
    let (scales, codes) = (&bytes[4..16], &bytes[16..]);
    for (place, number) in numbers.iter_mut().enumerate() {
        let (own, minimum) = scale_and_minimum(scales, place / 32);
        *number = scale * own * f32::from(four_bits(codes, place)) - least * minimum;
    }
}

fn q5_k(bytes: &[u8], numbers: &mut [f32]) {
    let (scale, least) = (half(bytes, 0), half(bytes, 2));
    let (scales, high, codes) = (&bytes[4..16], &bytes[16..48], &bytes[48..]);
    for (place, number) in numbers.iter_mut().enumerate() {
        let (own, minimum) = scale_and_minimum(scales, place / 32);
        let code = four_bits(codes, place) | (high[place % 32] >> (place / 32) & 1) << 4;
        *number = scale * own * f32::from(code) - least * minimum;
    }
}

fn q6_k(bytes: &[u8], numbers: &mut [f32]) {
    let (low, high, scales) = (&bytes[..128], &bytes[128..192], &bytes[192..208]);
    let scale = half(bytes, 208);
    for (place, number) in numbers.iter_mut().enumerate() {
        let byte = low[place / 128 * 64 + place % 64];
        let low = if (place / 64).is_multiple_of(2) { byte & 15 } else { byte >> 4 };
        let code = (low | two_bits(high, place) << 4) as i8 - 32;
        *number = scale * f32::from(scales[place / 16] as i8) * f32::from(code);
    }
}

/// What the codes of IQ4_NL and IQ4_XS stand for.
const IQ4: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

fn iq4_nl(bytes: &[u8], numbers: &mut [f32]) {
    let scale = half(bytes, 0);
    nibbles(&bytes[2..]).for_each(|(place, code)| numbers[place] = scale * f32::from(IQ4[usize::from(code)]));
}

fn iq4_xs(bytes: &[u8], numbers: &mut [f32]) {
    let scale = half(bytes, 0);
    let high = u16::from_le_bytes([bytes[2], bytes[3]]);
    for (group, (codes, numbers)) in bytes[8..].chunks(16).zip(numbers.chunks_mut(32)).enumerate() {
        let low = bytes[4 + group / 2] >> (4 * (group % 2)) & 15;
        let own = low | ((high >> (2 * group) & 3) << 4) as u8;
        let scale = scale * (f32::from(own) - 32.0);
        nibbles(codes).for_each(|(place, code)| numbers[place] = scale * f32::from(IQ4[usize::from(code)]));
    }
}

/// What the codes of MXFP4 stand for, twice the numbers of the format E2M1.
const E2M1: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

fn mxfp4(bytes: &[u8], numbers: &mut [f32]) {
    // Half of the power of two that the byte tells.
    let scale = f64::from(i32::from(bytes[0]) - 128).exp2() as f32;
    nibbles(&bytes[1..]).for_each(|(place, code)| numbers[place] = scale * f32::from(E2M1[usize::from(code)]));
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// Random blocks, and the numbers that llama.cpp's package `gguf` makes of them; `tests/python/make_gguf.py` writes them.
    #[derive(Deserialize)]
    struct Reference {
        bytes: Vec<u8>,
        numbers: Vec<f32>,
    }

    #[test]
    fn blocks_hold_the_numbers_of_the_reference() {
        let references: std::collections::BTreeMap<String, Reference> =
            serde_json::from_str(include_str!("../../../tests/data/gguf/blocks.json")).unwrap();
        let decoded: Vec<_> = FORMATS.iter().filter(|format| format.decode.is_some()).collect();
        assert_eq!(references.len(), decoded.len());
        for format in decoded {
            let Reference { bytes, numbers } = &references[format.name];
            let mut found = vec![0.0; numbers.len()];
            for (bytes, found) in bytes.chunks(format.bytes).zip(found.chunks_mut(format.block)) {
                format.decode.unwrap()(bytes, found);
            }
            for (found, expected) in found.iter().zip(numbers) {
                assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{}: {found}, {expected}", format.name);
            }
        }
    }
}
