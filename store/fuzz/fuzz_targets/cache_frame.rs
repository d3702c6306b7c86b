//! Frames of packs: whatever is accepted has the length and the digest that its manifest says. And names: what parses prints as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use store::{
    BlobId, PackDigest,
    cache::{
        format::{CacheName, Frame},
        pack::read_frame,
    },
};

fuzz_target!(|bytes: &[u8]| {
    let length = u32::try_from(bytes.len()).expect("inputs are short");
    let content = zstd::bulk::decompress(bytes, 4 << 20).unwrap_or_default();
    let frame = Frame {
        pack: PackDigest::from_bytes([0; 32]),
        offset: 8,
        compressed_length: length,
        length: u32::try_from(content.len()).expect("4 MiB at most"),
        content: BlobId::from_bytes(*blake3::hash(&content).as_bytes()),
    };
    if let Ok(read) = read_frame(&frame, bytes) {
        assert_eq!(read, content);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(name) = text.parse::<CacheName>()
    {
        assert_eq!(name.to_string(), text);
        assert!(text.split('/').all(|part| !part.is_empty() && !part.starts_with('.')));
    }
});
