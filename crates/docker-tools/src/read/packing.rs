//! How a stream is compressed, told by its first bytes and never by its name.

use std::io::{self, BufReader, Read};

use crate::spec::LayerForm;

/// Most memory that an xz stream may ask for, in bytes.
const XZ_MEMORY: u64 = 128 << 20;

/// Largest window of a zstd frame, as a power of two.
const ZSTD_WINDOW_LOG: u32 = 27;

/// A compression that archives and layers come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// None.
    Plain,
    /// gzip.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// zstd.
    Zstd,
}

impl Packing {
    /// Bytes that [`Packing::detect`] looks at.
    pub const N_MAGIC: usize = 6;

    /// Tells the packing from the first bytes of a stream; fewer than six may be given.
    pub fn detect(start: &[u8]) -> Packing {
        if start.starts_with(&[0x1f, 0x8b]) {
            Packing::Gzip
        } else if start.starts_with(b"BZh") {
            Packing::Bzip2
        } else if start.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
            Packing::Xz
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
            || (start.len() >= 4 && start[0] & 0xf0 == 0x50 && start[1..4] == [0x2a, 0x4d, 0x18])
        {
            // The second form is a skippable frame, with which chunked zstd may begin.
            Packing::Zstd
        } else {
            Packing::Plain
        }
    }

    /// The form in which such a layer can stay in an OCI image; `None` for those that OCI lacks.
    pub fn layer_form(self) -> Option<LayerForm> {
        match self {
            Packing::Plain => Some(LayerForm::Plain),
            Packing::Gzip => Some(LayerForm::Gzip),
            Packing::Zstd => Some(LayerForm::Zstd),
            Packing::Bzip2 | Packing::Xz => None,
        }
    }

    /// Reads the contents of a stream that is packed like this.
    ///
    /// # Errors
    /// That the decoder cannot be set up, for want of memory.
    pub fn unpack<'a, R: Read + 'a>(self, reader: R) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Packing::Plain => Box::new(reader),
            Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(reader)),
            Packing::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(reader)),
            Packing::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY,
                    liblzma::stream::CONCATENATED,
                )
                .map_err(io::Error::other)?;
                Box::new(liblzma::read::XzDecoder::new_stream(reader, stream))
            }
            Packing::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(BufReader::new(reader))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
        })
    }
}

/// Reads the first bytes of a stream; gives the packing and the whole stream.
///
/// # Errors
/// Those of the reader.
pub fn detect<'a, R: Read + 'a>(mut reader: R) -> io::Result<(Packing, impl Read + 'a)> {
    let mut start = Vec::with_capacity(Packing::N_MAGIC);
    reader.by_ref().take(Packing::N_MAGIC as u64).read_to_end(&mut start)?;
    Ok((Packing::detect(&start), io::Cursor::new(start).chain(reader)))
}
