//! A server of files on loopback.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
};

/// Serves the files of a folder, by their names, until the test program ends. Gives the address.
///
/// # Errors
/// No port could be opened.
pub(crate) fn serve(folder: &Path) -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("no port: {e}"))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let folder = folder.to_owned();
    thread::spawn(move || {
        for peer in listener.incoming().flatten() {
            let folder = folder.clone();
            thread::spawn(move || answer(peer, folder));
        }
    });
    Ok(format!("http://{address}"))
}

fn answer(mut peer: TcpStream, folder: PathBuf) -> Option<()> {
    let mut lines = BufReader::new(peer.try_clone().ok()?).lines();
    let request = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    let name = request.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    let (status, body) = match std::fs::read(folder.join(&name)) {
        Ok(body) if !name.contains('/') => ("200 OK", body),
        _ => ("404 Not Found", b"no such file\n".to_vec()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    peer.write_all(head.as_bytes()).and_then(|()| peer.write_all(&body)).ok()
}
