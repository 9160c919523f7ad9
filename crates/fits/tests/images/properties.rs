//! What holds for any pixels and any bytes.

use fits::tile::gzip::Inflater;
use fits::tile::{CodecFault, hcompress, plio, rice};
use proptest::collection::vec;
use proptest::prelude::*;

/// Runs of like pixels, noise of some width, and jumps: what levels of a code are chosen by.
fn pixels() -> impl Strategy<Value = Vec<i32>> {
    let piece = prop_oneof![
        (any::<i32>(), 1..70usize).prop_map(|(value, count)| vec![value; count]),
        (any::<i32>(), 0..32u32, vec(any::<i32>(), 1..70)).prop_map(|(level, bits, noise)| {
            noise.into_iter().map(|noise| level.wrapping_add(noise >> bits)).collect()
        }),
    ];
    vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

fn check_rice<P>(pixels: &[P], block: usize)
where
    P: rice::RicePixel + PartialEq + std::fmt::Debug,
{
    let mut code = vec![0xa5];
    rice::encode(pixels, block, &mut code);
    assert_eq!(code[0], 0xa5, "codes are appended");
    let mut read = vec![P::default(); pixels.len()];
    rice::decode(&code[1..], block, &mut read).expect("a whole code");
    assert_eq!(read, pixels);
    // In parts of whole blocks, as for tiles that do not fit the memory.
    let mut decoder = rice::Decoder::<P>::start(&code[1..]).expect("a first pixel");
    for part in read.chunks_mut(3 * block) {
        part.fill(P::default());
        decoder.decode(&code[1..], block, part).expect("a part");
    }
    assert_eq!(read, pixels);
    let cut = code.len() - 2;
    let fault = rice::decode(&code[1..=cut], block, &mut read);
    assert_eq!(fault, Err(CodecFault::CodeTooShort));
}

proptest! {
    #[test]
    fn rice_decodes_what_it_encoded(pixels in pixels(), block in 1..80usize) {
        check_rice(&pixels, block);
        let narrow: Vec<i16> = pixels.iter().map(|&pixel| pixel as i16).collect();
        check_rice(&narrow, block);
        let bytes: Vec<u8> = pixels.iter().map(|&pixel| pixel as u8).collect();
        check_rice(&bytes, block);
    }

    #[test]
    fn rice_takes_any_bytes(code in vec(any::<u8>(), 0..200), block in 1..80usize, count in 0..500usize) {
        let _ = rice::decode(&code, block, &mut vec![0u8; count]);
        let _ = rice::decode(&code, block, &mut vec![0i16; count]);
        let _ = rice::decode(&code, block, &mut vec![0i32; count]);
    }

    #[test]
    fn rice_takes_bytes_that_are_mostly_zero(at in vec(0..2000usize, 0..12), length in 4..250usize) {
        let mut code = vec![0u8; length];
        for bit in at {
            code[bit / 8 % length] |= 1 << (bit % 8);
        }
        let _ = rice::decode(&code, 32, &mut [0i32; 300]);
        let _ = rice::decode(&code, 32, &mut [0i16; 300]);
    }

    #[test]
    fn plio_takes_any_bytes(words in vec(any::<i16>(), 0..60), count in 0..300usize) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut pixels = vec![0; count];
        let _ = plio::decode(&bytes, &mut pixels);
        // With a header, most words are instructions.
        let length = words.len() as i16 + 3;
        let mut list: Vec<u8> = [0, 0, length].iter().flat_map(|word| word.to_be_bytes()).collect();
        list.extend_from_slice(&words.iter().flat_map(|word| (word & 0x7fff).to_be_bytes()).collect::<Vec<_>>());
        let _ = plio::decode(&list, &mut pixels);
    }

    #[test]
    fn gzip_takes_any_bytes(body in vec(any::<u8>(), 0..100), flags in any::<u8>()) {
        let mut inflater = Inflater::default();
        let mut bytes = Vec::new();
        prop_assert!(inflater.inflate(&body, 64, &mut bytes).is_err());
        let code = [&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 0], &body[..]].concat();
        let _ = inflater.inflate(&code, 64, &mut bytes);
        prop_assert!(bytes.len() <= 64);
    }

    #[test]
    fn hcompress_takes_any_bytes(
        rows in 1..12usize,
        columns in 1..12usize,
        scale in prop_oneof![0..20i32, any::<i32>()],
        sum in any::<i64>(),
        planes in prop_oneof![vec(0..8u8, 3), vec(any::<u8>(), 3)],
        smooth in any::<bool>(),
        body in vec(prop_oneof![Just(0xffu8), Just(0), any::<u8>()], 0..300),
    ) {
        let mut code = vec![0xdd, 0x99];
        for number in [rows as i32, columns as i32, scale] {
            code.extend_from_slice(&number.to_be_bytes());
        }
        code.extend_from_slice(&sum.to_be_bytes());
        code.extend_from_slice(&planes);
        code.extend_from_slice(&body);
        let mut pixels = vec![0; rows * columns];
        let mut scratch = hcompress::Scratch::default();
        let _ = hcompress::decode(&code, columns, smooth, &mut scratch, &mut pixels);
        let _ = hcompress::decode(&body, columns, smooth, &mut scratch, &mut pixels);
    }
}
