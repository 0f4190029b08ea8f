//! From the bytes of a layer to its blob in one pass: tar → diff ID, gzip.
//!
//! The tar is cut at multiples of [`MEMBER_BYTES`] and every piece becomes a complete gzip
//! member, so pieces compress in parallel and the bytes do not depend on the number of threads.
//! Level, piece size and the encoder's version decide the digest of every image: changing one of
//! them bumps [`ENCODER_EPOCH`].

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use sha2::{Digest as _, Sha256};

use crate::spec::{DiffId, Digest};

/// Counts changes of the encoder: algorithm, implementation, level, piece size.
pub const ENCODER_EPOCH: u32 = 1;

/// Bytes of tar in one gzip member.
pub const MEMBER_BYTES: usize = 1 << 20;

/// The compression level of layers.
const LEVEL: u32 = 1;

/// What is known about a layer once its tar is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerFacts {
    /// Hash of the tar.
    pub diff_id: DiffId,
    /// Length of the tar in bytes.
    pub uncompressed_size: u64,
}

/// Takes the tar of a layer and passes on its gzip form.
pub struct LayerEncoder<W> {
    hasher: Sha256,
    n_bytes: u64,
    gzip: ParallelGzip<W>,
}

impl<W: Write> LayerEncoder<W> {
    /// Starts a layer; `n_threads` compress beside the caller, at least one.
    pub fn new(out: W, n_threads: usize) -> LayerEncoder<W> {
        LayerEncoder { hasher: Sha256::new(), n_bytes: 0, gzip: ParallelGzip::new(out, n_threads) }
    }

    /// Compresses what is left and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer beneath.
    pub fn finish(self) -> io::Result<(W, LayerFacts)> {
        let out = self.gzip.finish()?;
        let diff_id = DiffId(Digest(self.hasher.finalize().into()));
        Ok((out, LayerFacts { diff_id, uncompressed_size: self.n_bytes }))
    }
}

impl<W: Write> Write for LayerEncoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gzip.write_all(bytes)?;
        self.hasher.update(bytes);
        self.n_bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // members have a fixed size; a flush must not change the bytes
    }
}

/// Hashes and counts what passes.
pub struct HashingWriter<W> {
    out: W,
    hasher: Sha256,
    n_bytes: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Starts with nothing written.
    pub fn new(out: W) -> HashingWriter<W> {
        HashingWriter { out, hasher: Sha256::new(), n_bytes: 0 }
    }

    /// The digest and length of what has passed.
    pub fn finish(self) -> (Digest, u64) {
        (Digest(self.hasher.finalize().into()), self.n_bytes)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.n_bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A piece to compress, and where its member goes.
type Job = (Vec<u8>, Sender<Vec<u8>>);

/// Compresses pieces on worker threads and writes the members in order.
///
/// At most two pieces per worker are in flight, so memory is bounded by the number of workers.
struct ParallelGzip<W> {
    out: W,
    piece: Vec<u8>,
    any_written: bool,
    jobs: Option<Sender<Job>>,
    in_flight: VecDeque<Receiver<Vec<u8>>>,
    workers: Vec<JoinHandle<()>>,
}

impl<W: Write> ParallelGzip<W> {
    fn new(out: W, n_threads: usize) -> ParallelGzip<W> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let workers = (0..n_threads.max(1))
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || work(&queue))
            })
            .collect();
        let piece = Vec::with_capacity(MEMBER_BYTES);
        let in_flight = VecDeque::new();
        ParallelGzip { out, piece, any_written: false, jobs: Some(jobs), in_flight, workers }
    }

    fn send_piece(&mut self) -> io::Result<()> {
        while self.in_flight.len() >= 2 * self.workers.len() {
            self.write_oldest()?;
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(MEMBER_BYTES));
        let (reply, member) = mpsc::channel();
        let jobs = self.jobs.as_ref().expect("jobs is taken only when the encoder is dropped");
        jobs.send((piece, reply)).map_err(|_| worker_died())?;
        self.in_flight.push_back(member);
        self.any_written = true;
        Ok(())
    }

    fn write_oldest(&mut self) -> io::Result<()> {
        if let Some(member) = self.in_flight.pop_front() {
            let member = member.recv().map_err(|_| worker_died())?;
            self.out.write_all(&member)?;
        }
        Ok(())
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = bytes.len().min(MEMBER_BYTES - self.piece.len());
            self.piece.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if self.piece.len() == MEMBER_BYTES {
                self.send_piece()?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        if !self.piece.is_empty() || !self.any_written {
            self.send_piece()?;
        }
        while !self.in_flight.is_empty() {
            self.write_oldest()?;
        }
        self.jobs = None;
        for worker in self.workers.drain(..) {
            worker.join().map_err(|_| worker_died())?;
        }
        Ok(self.out)
    }
}

fn worker_died() -> io::Error {
    io::Error::other("a compression thread ended early")
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        // A poisoned lock means that another worker panicked; the receiver is still whole.
        let job = queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv();
        let Ok((piece, reply)) = job else { return };
        // The receiver is gone when writing failed; the error is reported there.
        let _ = reply.send(gzip_member(&piece));
    }
}

/// One complete gzip member: no name, no time, operating system "unknown".
fn gzip_member(piece: &[u8]) -> Vec<u8> {
    let mut member = Vec::with_capacity(piece.len() / 2 + 1024);
    member.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let mut deflate = Compress::new(Compression::new(LEVEL), false);
    loop {
        let consumed = deflate.total_in() as usize;
        let status = deflate
            .compress_vec(&piece[consumed..], &mut member, FlushCompress::Finish)
            .expect("deflate with a fresh state and enough room cannot fail");
        if status == Status::StreamEnd {
            break;
        }
        member.reserve(piece.len() / 2 + 1024);
    }
    let mut crc = Crc::new();
    crc.update(piece);
    member.extend_from_slice(&crc.sum().to_le_bytes());
    member.extend_from_slice(&(piece.len() as u32).to_le_bytes());
    member
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn sample(n: usize) -> Vec<u8> {
        let mut state = 1u64;
        (0..n)
            .map(|i| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(i as u64);
                if i % 3 == 0 { (state >> 60) as u8 } else { b'x' }
            })
            .collect()
    }

    fn encode(bytes: &[u8], n_threads: usize, step: usize) -> (Vec<u8>, LayerFacts) {
        let mut encoder = LayerEncoder::new(Vec::new(), n_threads);
        for chunk in bytes.chunks(step) {
            encoder.write_all(chunk).unwrap();
            encoder.flush().unwrap();
        }
        encoder.finish().unwrap()
    }

    #[test]
    fn the_number_of_threads_does_not_change_the_blob() {
        let bytes = sample(5 * MEMBER_BYTES / 2);
        let (blob, facts) = encode(&bytes, 1, bytes.len());
        assert_eq!(facts.diff_id.0, Digest::of(&bytes));
        assert_eq!(facts.uncompressed_size, bytes.len() as u64);
        for (n_threads, step) in [(2, 1000), (7, 65536), (3, MEMBER_BYTES)] {
            assert_eq!(encode(&bytes, n_threads, step).0, blob);
        }
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(&blob[..]).read_to_end(&mut back).unwrap();
        assert!(back == bytes);
    }

    #[test]
    fn an_empty_layer_is_one_empty_member() {
        let (blob, _) = encode(b"", 2, 1);
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&blob[..]).read_to_end(&mut back).unwrap();
        assert!(back.is_empty());
    }

    #[test]
    fn bytes_that_do_not_compress_still_fit() {
        let mut state = 7u64;
        let bytes: Vec<u8> = (0..MEMBER_BYTES + 5)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        let mut back = Vec::new();
        let (blob, _) = encode(&bytes, 2, 4096);
        flate2::read::MultiGzDecoder::new(&blob[..]).read_to_end(&mut back).unwrap();
        assert!(back == bytes);
    }

    #[test]
    fn the_encoder_epoch_pins_these_bytes() {
        // When this fails, the encoder changed: digests of all images change with it.
        // Bump ENCODER_EPOCH and write the new value here.
        let (blob, _) = encode(&sample(3000), 1, 3000);
        expect_test::expect![
            "1 sha256:9e32d6409816fa6dd1ca8751e99c3257665f8113326eb4efe994c27d3f3d3129"
        ]
        .assert_eq(&format!("{ENCODER_EPOCH} {}", Digest::of(&blob)));
    }
}
