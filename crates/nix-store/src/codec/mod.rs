//! Reading compressed streams: gzip, zstd, xz, bzip2 and none, told apart by their first bytes.
//!
//! File names and content types lie, magic numbers seldom do. Memory is bounded: zstd by its window, xz by
//! liblzma's own limit; the others need little. The length of what comes out is for the reader to bound.

use std::io::{BufRead, BufReader, Read};

use liblzma::stream::{CONCATENATED, Stream};

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all, or in a way that is not known here.
    None,
    /// One or more gzip members.
    Gzip,
    /// One or more zstd frames.
    Zstd,
    /// One or more xz streams.
    Xz,
    /// One or more bzip2 streams.
    Bzip2,
}

impl Compression {
    /// From the first bytes; six are enough.
    pub fn detect(start: &[u8]) -> Compression {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            // A frame, or a skippable frame before one.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
            _ => Compression::None,
        }
    }

    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Xz => "xz",
            Compression::Bzip2 => "bzip2",
        }
    }
}

/// How much memory a reader may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecLimits {
    /// Binary logarithm of the largest zstd window in bytes.
    pub zstd_window_log: u32,
    /// Memory of the xz reader in bytes.
    pub xz_memory: u64,
}

impl Default for CodecLimits {
    /// 128 MiB for zstd (`--long=27`), 256 MiB for xz (its level 9 needs 65).
    fn default() -> CodecLimits {
        CodecLimits { zstd_window_log: 27, xz_memory: 256 << 20 }
    }
}

/// A reader of what `inner` holds compressed, and how it was.
///
/// # Errors
/// When the first bytes cannot be read, or there is no memory for the reader. Broken streams fail while
/// they are read.
pub fn decoder<'a>(
    inner: impl Read + 'a,
    limits: CodecLimits,
) -> std::io::Result<(Box<dyn Read + 'a>, Compression)> {
    let mut start = [0; 6];
    let mut n = 0;
    let mut inner = inner;
    while n < start.len() {
        match inner.read(&mut start[n..]) {
            Ok(0) => break,
            Ok(got) => n += got,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let compression = Compression::detect(&start[..n]);
    let whole = std::io::Cursor::new(start).take(n as u64).chain(inner);
    let reader = BufReader::with_capacity(128 << 10, whole);
    Ok((open(reader, compression, limits)?, compression))
}

fn open<'a>(
    reader: impl BufRead + 'a,
    compression: Compression,
    limits: CodecLimits,
) -> std::io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(reader),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Compression::Zstd => {
            let mut zstd = zstd::stream::read::Decoder::with_buffer(reader)?;
            zstd.window_log_max(limits.zstd_window_log)?;
            Box::new(zstd)
        }
        Compression::Xz => {
            let stream = Stream::new_stream_decoder(limits.xz_memory, CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
        }
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    /// Compresses with the system's program; `None` if it is not installed.
    fn system(program: &str, args: &[&str], text: &[u8]) -> Option<Vec<u8>> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut stdin = child.stdin.take().unwrap();
        let text = text.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&text));
        let out = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(out.status.success());
        Some(out.stdout)
    }

    fn read(bytes: &[u8]) -> std::io::Result<(Vec<u8>, Compression)> {
        let (mut reader, compression) = decoder(bytes, CodecLimits::default())?;
        let mut text = Vec::new();
        reader.read_to_end(&mut text)?;
        Ok((text, compression))
    }

    #[test]
    fn what_the_systems_programs_write_is_read_also_in_several_pieces() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let programs = [
            ("gzip", Compression::Gzip),
            ("zstd", Compression::Zstd),
            ("xz", Compression::Xz),
            ("bzip2", Compression::Bzip2),
        ];
        let mut n_tried = 0;
        for (program, compression) in programs {
            let Some(mut packed) = system(program, &["-c"], &text) else { continue };
            n_tried += 1;
            assert_eq!(read(&packed).unwrap(), (text.clone(), compression));
            packed.extend(system(program, &["-c"], b"tail").unwrap());
            let both = [&text[..], b"tail"].concat();
            assert!(read(&packed).unwrap().0 == both, "{program}");
            packed.truncate(packed.len() / 2);
            assert!(read(&packed).is_err(), "{program} truncated");
        }
        assert!(n_tried > 0, "no compressor is installed");
    }

    #[test]
    fn plain_and_short_streams_pass_through() {
        for text in [&b""[..], b"a", b"plain text that is longer"] {
            assert_eq!(read(text).unwrap(), (text.to_vec(), Compression::None));
        }
    }

    #[test]
    fn a_zstd_window_beyond_the_limit_is_refused() {
        let mut writer = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        writer.window_log(28).unwrap();
        writer.long_distance_matching(true).unwrap();
        writer.write_all(&[7; 1000]).unwrap();
        assert!(read(&writer.finish().unwrap()).is_err());
    }

    #[test]
    fn an_xz_stream_that_wants_too_much_memory_is_refused() {
        let mut writer = liblzma::write::XzEncoder::new(Vec::new(), 9);
        writer.write_all(&[7; 1000]).unwrap();
        let packed = writer.finish().unwrap();
        let limits = CodecLimits { xz_memory: 1 << 20, ..CodecLimits::default() };
        let (mut reader, _) = decoder(&packed[..], limits).unwrap();
        assert!(reader.read_to_end(&mut Vec::new()).is_err());
        assert_eq!(read(&packed).unwrap().0, [7; 1000]);
    }
}
