//! Layers to bytes, in parallel, with flat memory.
//!
//! One thread reads the store, writes tar and computes the diff ids; several compress pieces of 4 MiB; the calling thread puts the pieces in order again,
//! computes the digests and hands the bytes on. The pieces of all layers go through one pipeline, so that no processor waits at the end of a layer. A
//! fixed number of buffers goes round, which bounds the memory and makes the reader wait for the slowest.
//!
//! The bytes do not depend on the number of threads: where a piece ends depends on its segment alone, and what it is compressed to on the piece alone.

use std::{
    collections::BTreeMap,
    num::NonZero,
    sync::{
        Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use super::{
    Compression, Layer, LayerError, PIECE_BYTES,
    buffers::{BufferPool, Buffers},
    codec::PieceCompressor,
    piece::{Halt, PieceWriter},
};
use crate::{
    Event,
    oci::{Descriptor, DiffId, Digest, DigestWriter},
};

/// What a layer became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerDigests {
    /// The digest of the tar.
    pub diff_id: DiffId,
    /// The size of the tar.
    pub tar_size_bytes: u64,
    /// The digest of the compressed tar: the layer's blob.
    pub digest: Digest,
    /// The size of the compressed tar.
    pub size_bytes: u64,
}

impl LayerDigests {
    /// Describes the blob, which a manifest calls by this media type.
    pub fn descriptor(&self, media_type: &str) -> Descriptor {
        Descriptor::new(media_type, self.digest, self.size_bytes)
    }
}

/// What [`Encoder::encode`] hands on: for each layer `Begin`, its bytes, `End`.
#[derive(Debug)]
pub(crate) enum Encoded<'a> {
    /// The layer with this index starts.
    Begin(usize),
    /// The next compressed bytes of the layer.
    Bytes(&'a [u8]),
    /// The layer with this index is complete.
    End(usize, LayerDigests),
}

/// How layers are made.
pub(crate) struct Encoder<'a> {
    pub(crate) compression: Compression,
    /// How many threads compress at most; as many as there are processors where it is `None`.
    pub(crate) threads: Option<NonZero<usize>>,
    /// What pieces are made in.
    pub(crate) buffers: BufferPool,
    pub(crate) events: &'a (dyn Fn(Event<'_>) + Sync),
}

/// What arrives at the calling thread; put in order by its number.
enum Message {
    Begin(usize),
    Piece(Buffers),
    End {
        layer: usize,
        diff_id: DiffId,
        tar_size_bytes: u64,
    },
    Failed(LayerError),
}

struct Job {
    number: u64,
    buffers: Buffers,
}

impl Encoder<'_> {
    /// Makes the given layers, in this order, and hands everything to `receive`. The index comes back in [`Encoded`].
    ///
    /// When `receive` fails, everything stops and its error is returned.
    pub(crate) fn encode<E: From<LayerError>>(
        &self,
        layers: &[(usize, &Layer)],
        receive: &mut dyn FnMut(Encoded<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let threads = self.compression.threads(self.threads).get();
        let (free_sender, free) = mpsc::channel();
        for _ in 0..pairs(threads) {
            // Cannot fail: the receiver lives in this function.
            free_sender.send(self.buffers.lend()).ok();
        }
        let (jobs_sender, jobs) = mpsc::channel();
        let (done_sender, done) = mpsc::channel();
        let jobs = Mutex::new(jobs);
        thread::scope(|scope| {
            for _ in 0..threads {
                let done = done_sender.clone();
                scope.spawn(|| self.compress(&jobs, done));
            }
            scope.spawn(move || {
                let mut reader = LayerReader {
                    free,
                    jobs: jobs_sender,
                    done: done_sender,
                    number: 0,
                };
                // Whoever stopped it has reported why.
                reader.read(layers).ok();
            });
            // Ends of channels that are dropped here, after an error, stop the other threads.
            self.collect(layers.len(), &done, free_sender, receive)
        })
    }

    fn compress(&self, jobs: &Mutex<Receiver<Job>>, done: Sender<(u64, Message)>) {
        let mut compressor = PieceCompressor::new(self.compression);
        loop {
            let job = jobs.lock().map(|jobs| jobs.recv());
            let Ok(Ok(Job {
                number,
                mut buffers,
            })) = job
            else {
                return;
            };
            let result = match &mut compressor {
                Ok(compressor) => compressor.compress(&buffers.plain, &mut buffers.packed),
                Err(_) => Err(LayerError::Compress {
                    compression: self.compression,
                }),
            };
            let message = match result {
                Ok(()) => Message::Piece(buffers),
                Err(error) => Message::Failed(error),
            };
            if done.send((number, message)).is_err() {
                return;
            }
        }
    }

    fn collect<E: From<LayerError>>(
        &self,
        layers: usize,
        done: &Receiver<(u64, Message)>,
        free: Sender<Buffers>,
        receive: &mut dyn FnMut(Encoded<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut early = BTreeMap::new();
        let mut next = 0;
        let mut blob = DigestWriter::default();
        let mut ended = 0;
        while ended < layers {
            let message = loop {
                if let Some(message) = early.remove(&next) {
                    break message;
                }
                // A panic of another thread closes the channel and is passed on when the scope ends.
                let Ok((number, message)) = done.recv() else {
                    return Ok(());
                };
                early.insert(number, message);
            };
            next += 1;
            match message {
                Message::Begin(layer) => {
                    blob = DigestWriter::default();
                    receive(Encoded::Begin(layer))?;
                }
                Message::Piece(buffers) => {
                    // Uncompressed, the blob is the tar, whose digest is known at its end.
                    if self.compression != Compression::None {
                        blob.update(&buffers.packed);
                    }
                    receive(Encoded::Bytes(&buffers.packed))?;
                    (self.events)(Event::Encoded {
                        tar_bytes: buffers.plain.len() as u64,
                    });
                    // Fails when the reader has read everything.
                    free.send(buffers).ok();
                }
                Message::End {
                    layer,
                    diff_id,
                    tar_size_bytes,
                } => {
                    let blob = std::mem::take(&mut blob);
                    let (digest, size_bytes) = match self.compression {
                        Compression::None => (diff_id.0, tar_size_bytes),
                        Compression::Gzip | Compression::Zstd => {
                            let size_bytes = blob.size_bytes();
                            (blob.finish(), size_bytes)
                        }
                    };
                    let digests = LayerDigests {
                        diff_id,
                        tar_size_bytes,
                        digest,
                        size_bytes,
                    };
                    receive(Encoded::End(layer, digests))?;
                    ended += 1;
                }
                Message::Failed(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Pairs of buffers beyond one for the reader, one for the receiver and one for each thread that compresses.
const SPARE_PAIRS: usize = 2;
/// From so many pairs on, none is spare: there are enough to wait for the slowest, and each takes memory.
const MANY_PAIRS: usize = 10;

/// How many pairs of buffers go round: one for the reader, one for the receiver, one for each thread that compresses, and spare ones. A piece ends where its object
/// ends, so pieces differ in size, and a small one that is compressed early waits for the large one before it: without spare ones, a thread idles meanwhile (with two
/// threads, a tenth of the time).
///
/// A single thread is kept busy by two, since others are quicker than it: while it is at one, the other is handed on and read anew. Several layers that are made at
/// once by a thread each would else take half as much memory again.
fn pairs(threads: usize) -> usize {
    let busy = threads + 2;
    match threads {
        0 | 1 => 2,
        _ => (busy + SPARE_PAIRS).min(busy.max(MANY_PAIRS)),
    }
}

/// The thread that reads the store.
struct LayerReader {
    free: Receiver<Buffers>,
    jobs: Sender<Job>,
    done: Sender<(u64, Message)>,
    number: u64,
}

/// Somebody else failed first, and this thread has to stop.
struct Stopped;

impl LayerReader {
    fn read(&mut self, layers: &[(usize, &Layer)]) -> Result<(), Stopped> {
        // One pair stays with this thread from layer to layer; the others go round.
        let mut buffers = self.free_buffers()?;
        for (index, layer) in layers {
            buffers = self.read_layer(*index, layer, buffers)?;
        }
        Ok(())
    }

    /// Reads a layer, beginning with the given empty buffers. Returns an empty pair again.
    fn read_layer(
        &mut self,
        index: usize,
        layer: &Layer,
        mut buffers: Buffers,
    ) -> Result<Buffers, Stopped> {
        self.send(Message::Begin(index))?;
        let mut tar = DigestWriter::default();
        for segment in &layer.segments {
            let plain = std::mem::take(&mut buffers.plain);
            let result = PieceWriter::new(plain, &mut |piece| {
                tar.update(&piece);
                buffers.plain = piece;
                let full = std::mem::take(&mut buffers);
                buffers = self.submit(full).map_err(|Stopped| Halt::Stopped)?;
                Ok(std::mem::take(&mut buffers.plain))
            })
            .write_segment(segment);
            match result {
                Ok(plain) => buffers.plain = plain,
                Err(Halt::Stopped) => return Err(Stopped),
                Err(Halt::Failed(error)) => {
                    self.send(Message::Failed(error))?;
                    return Err(Stopped);
                }
            }
        }
        let message = Message::End {
            layer: index,
            tar_size_bytes: tar.size_bytes(),
            diff_id: DiffId(tar.finish()),
        };
        self.send(message)?;
        Ok(buffers)
    }

    /// Gives a full piece to the compressors and waits for a free pair of buffers.
    fn submit(&mut self, buffers: Buffers) -> Result<Buffers, Stopped> {
        let number = self.take_number();
        self.jobs
            .send(Job { number, buffers })
            .map_err(|_| Stopped)?;
        self.free_buffers()
    }

    /// Waits for a free pair of buffers: an empty one with room for a piece, and one for what it is compressed to.
    fn free_buffers(&self) -> Result<Buffers, Stopped> {
        let mut buffers = self.free.recv().map_err(|_| Stopped)?;
        buffers.plain.clear();
        buffers.plain.reserve_exact(PIECE_BYTES);
        Ok(buffers)
    }

    fn send(&mut self, message: Message) -> Result<(), Stopped> {
        let number = self.take_number();
        self.done.send((number, message)).map_err(|_| Stopped)
    }

    const fn take_number(&mut self) -> u64 {
        self.number += 1;
        self.number - 1
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read, os::unix::ffi::OsStrExt, path::Path, sync::Arc};

    use proptest::prelude::*;
    use store::{PathDigest, StorePath};

    use super::*;
    use crate::layer::{FORMAT_VERSION, ObjectPlace, PlanError, StoredObject};

    /// Writes files below `root` and describes them as a store object with a made-up digest.
    fn object(root: &Path, seed: u8, files: &[(&[u8], &[u8])]) -> Arc<StoredObject> {
        let path = StorePath::new(
            PathDigest::from_bytes([seed; 25]),
            format!("p{seed}").parse().unwrap(),
        );
        let real = root.join(path.to_string());
        fs::create_dir_all(&real).unwrap();
        let mut nodes = 1;
        for (name, contents) in files {
            fs::write(real.join(std::ffi::OsStr::from_bytes(name)), contents).unwrap();
            nodes += 1;
        }
        Arc::new(StoredObject {
            place: ObjectPlace::Store,
            slot: None,
            path,
            real,
            size_bytes: files.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
            nodes,
        })
    }

    fn encode(
        layers: &[Layer],
        compression: Compression,
        threads: usize,
    ) -> Vec<(LayerDigests, Vec<u8>)> {
        let layers: Vec<_> = layers.iter().enumerate().collect();
        let mut made = Vec::new();
        let mut bytes = Vec::new();
        let encoder = Encoder {
            compression,
            threads: NonZero::new(threads),
            buffers: BufferPool::default(),
            events: &|_| (),
        };
        encoder
            .encode(&layers, &mut |encoded| {
                match encoded {
                    Encoded::Begin(index) => assert_eq!(index, made.len()),
                    Encoded::Bytes(more) => bytes.extend_from_slice(more),
                    Encoded::End(_, digests) => made.push((digests, std::mem::take(&mut bytes))),
                }
                Ok::<_, LayerError>(())
            })
            .unwrap();
        made
    }

    /// Bytes that neither repeat nor compress well.
    fn noise(count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        for byte in &mut bytes {
            *byte &= 0x3f;
        }
        bytes
    }

    #[test]
    fn golden_digests_hold_for_this_format_version() {
        assert_eq!(FORMAT_VERSION, 6, "a new version needs new digests");
        let directory = tempfile::tempdir().unwrap();
        let long = [b'l'; 180];
        let data = noise(PIECE_BYTES + 70_000);
        let first = object(
            directory.path(),
            1,
            &[(b"a", b"hello\n"), (b"b", &data), (&long, b"x")],
        );
        std::os::unix::fs::symlink("a".repeat(130), first.real.join("link")).unwrap();
        let mut permissions = fs::metadata(first.real.join("a")).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
        fs::set_permissions(first.real.join("a"), permissions).unwrap();
        let first = Arc::new(StoredObject {
            place: ObjectPlace::Store,
            slot: None,
            path: first.path.clone(),
            real: first.real.clone(),
            size_bytes: first.size_bytes,
            nodes: first.nodes + 1,
        });
        let second = object(directory.path(), 2, &[]);
        let layer = Layer::of(vec![second, first], None, Some([b'g'; 512].into()));
        assert_eq!(
            layer.recipe().to_string(),
            "70f1cc1b05e399d06c9046cc28cc0f394f6d8db29c3d16df9812e87f057dc2b8"
        );
        let expected = [
            (
                Compression::None,
                "b5e4ff53f658e796ad09fb8b3cbf461886116c078861ef969d7de926881b58cf",
            ),
            (
                Compression::Gzip,
                "b0fc03ae89fb7395f38d901e62ef9fc43fea1248a21fa7d3a8f0483d53a233e9",
            ),
            (
                Compression::Zstd,
                "ae3ef7d83af08f1b91fccfaaa82b3fcbfa3dd6e16af6752dc42a9b87b174fa56",
            ),
        ];
        for (compression, digest) in expected {
            let made = encode(std::slice::from_ref(&layer), compression, 2);
            assert_eq!(made[0].0.digest.to_hex(), digest, "{compression}");
            assert_eq!(made[0].0.diff_id.0.to_hex(), expected[0].1, "{compression}");
            assert_eq!(made[0].0.digest, Digest::of(&made[0].1));
            assert_eq!(made[0].0.size_bytes, made[0].1.len() as u64);
        }
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_number_of_threads() {
        let directory = tempfile::tempdir().unwrap();
        let data = noise(2 * PIECE_BYTES + 5);
        let layers: Vec<Layer> = (0..5)
            .map(|seed| {
                let end = data.len() - usize::from(seed) * 2_000_000;
                let object = object(
                    directory.path(),
                    seed,
                    &[(b"data", &data[..end]), (b"x", b"")],
                );
                Layer::new(vec![object], None)
            })
            .collect();
        for compression in [Compression::Gzip, Compression::Zstd] {
            let one = encode(&layers, compression, 1);
            for threads in [2, 3, 16] {
                assert_eq!(encode(&layers, compression, threads), one);
            }
        }
    }

    #[test]
    fn a_segment_has_the_same_bytes_in_every_layer() {
        let directory = tempfile::tempdir().unwrap();
        let a = object(directory.path(), 1, &[(b"a", b"aaa")]);
        let b = object(directory.path(), 2, &[(b"b", b"bbb")]);
        let bytes = |objects: &[&Arc<StoredObject>]| {
            let objects = objects.iter().map(|object| Arc::clone(object)).collect();
            encode(&[Layer::new(objects, None)], Compression::Gzip, 1)
                .remove(0)
                .1
        };
        let (only_a, only_b, both) = (bytes(&[&a]), bytes(&[&b]), bytes(&[&b, &a]));
        // Both begin with the parents and end with the end; what is between is a segment.
        let empty = encode(&[Layer::new(Vec::new(), None)], Compression::Gzip, 1)
            .remove(0)
            .1;
        let parents = only_a
            .iter()
            .zip(&only_b)
            .take_while(|(x, y)| x == y)
            .count();
        let segment_b = &only_b[parents..only_b.len() - empty.len()];
        assert!(
            both.windows(segment_b.len())
                .any(|window| window == segment_b)
        );
        assert_eq!(both[both.len() - empty.len()..], empty);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn another_reader_finds_the_files_that_were_packed(
            files in proptest::collection::btree_map(
                proptest::collection::vec(any::<u8>().prop_filter("a name", |b| *b != 0 && *b != b'/' && *b != b'\n'), 1..250)
                    .prop_filter("a name", |name| name != b"." && name != b".."),
                proptest::collection::vec(any::<u8>(), 0..2000),
                0..8,
            ),
            zstd: bool,
        ) {
            let directory = tempfile::tempdir().unwrap();
            let list: Vec<(&[u8], &[u8])> = files.iter().map(|(name, bytes)| (&name[..], &bytes[..])).collect();
            let object = object(directory.path(), 7, &list);
            let prefix = [&object.image_path()[..], b"/"].concat();
            let compression = if zstd { Compression::Zstd } else { Compression::Gzip };
            let made = encode(&[Layer::new(vec![object], None)], compression, 2).remove(0).1;
            let mut tar = Vec::new();
            if zstd {
                zstd::Decoder::new(&made[..]).unwrap().read_to_end(&mut tar).unwrap();
            } else {
                flate2::read::MultiGzDecoder::new(&made[..]).read_to_end(&mut tar).unwrap();
            }
            let mut found = BTreeMap::new();
            for entry in ::tar::Archive::new(&tar[..]).entries().unwrap() {
                let mut entry = entry.unwrap();
                if entry.header().entry_type().is_file() {
                    let name = entry.path_bytes().strip_prefix(&prefix[..]).unwrap().to_vec();
                    let mut contents = Vec::new();
                    entry.read_to_end(&mut contents).unwrap();
                    found.insert(name, contents);
                }
            }
            prop_assert_eq!(found, files);
        }
    }

    #[test]
    fn a_file_of_more_than_8_gib_has_its_size_in_an_extended_header() {
        const SIZE: u64 = (8 << 30) + 1;
        let directory = tempfile::tempdir().unwrap();
        let mut object = object(directory.path(), 1, &[(b"large", b"")]);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).open(object.real.join("large")).unwrap();
        // A hole: nothing of it is on the disk.
        file.set_len(SIZE).unwrap();
        Arc::get_mut(&mut object).unwrap().size_bytes = SIZE;
        let layer = Layer::new(vec![object], None);
        let encoder = Encoder {
            compression: Compression::Zstd,
            threads: None,
            buffers: BufferPool::default(),
            events: &|_| (),
        };
        let (mut blob, mut found) = (Vec::new(), None);
        let receive: &mut dyn FnMut(Encoded<'_>) -> Result<(), LayerError> = &mut |encoded| {
            match encoded {
                Encoded::Bytes(bytes) => blob.extend_from_slice(bytes),
                Encoded::End(_, digests) => found = Some(digests),
                Encoded::Begin(_) => {}
            }
            Ok(())
        };
        encoder.encode(&[(0, &layer)], receive).unwrap();
        // Three directories, the file with its extended header, what fills its last block, and the end.
        let blocks = 3 + 3 + (SIZE / 512 + 1) + 2;
        assert_eq!(found.unwrap().tar_size_bytes, blocks * 512);
        let mut archive = ::tar::Archive::new(zstd::Decoder::new(&blob[..]).unwrap());
        let large = archive.entries().unwrap().nth(3).unwrap().unwrap();
        assert_eq!(large.size(), SIZE);
    }

    #[test]
    fn an_object_that_is_not_what_is_registered_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let object = object(directory.path(), 1, &[(b"a", b"aaa")]);
        let result = |change: &dyn Fn(&Path)| {
            change(&object.real);
            let layer = Layer::new(vec![Arc::clone(&object)], None);
            let encoder = Encoder {
                compression: Compression::Gzip,
                threads: None,
                buffers: BufferPool::default(),
                events: &|_| (),
            };
            encoder.encode(&[(0, &layer)], &mut |_| Ok::<_, LayerError>(()))
        };
        assert!(result(&|_| ()).is_ok());
        let longer = result(&|real| fs::write(real.join("a"), b"aaaa").unwrap());
        assert!(matches!(
            longer,
            Err(LayerError::Damaged { found_bytes: 4, .. })
        ));
        let gone = result(&|real| fs::remove_file(real.join("a")).unwrap());
        assert!(matches!(
            gone,
            Err(LayerError::Damaged { found_nodes: 1, .. })
        ));
        let pipe = result(&|real| {
            nix::unistd::mkfifo(&real.join("a"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        });
        assert!(matches!(pipe, Err(LayerError::Kind { .. })));
    }

    #[test]
    fn a_receiver_that_fails_stops_everything() {
        let directory = tempfile::tempdir().unwrap();
        let data = noise(5 * PIECE_BYTES);
        let layer = Layer::new(vec![object(directory.path(), 1, &[(b"a", &data)])], None);
        let encoder = Encoder {
            compression: Compression::None,
            threads: NonZero::new(2),
            buffers: BufferPool::default(),
            events: &|_| (),
        };
        for fail_at in 0..6 {
            let mut calls = 0;
            let result = encoder.encode(&[(0, &layer)], &mut |_| {
                calls += 1;
                if calls > fail_at {
                    return Err(LayerError::Plan(PlanError::LayerCount { asked: fail_at }));
                }
                Ok(())
            });
            assert!(
                matches!(result, Err(LayerError::Plan(PlanError::LayerCount { asked })) if asked == fail_at)
            );
            assert_eq!(calls, fail_at + 1);
        }
    }
}
