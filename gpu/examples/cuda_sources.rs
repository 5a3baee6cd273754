//! Writes each kernel as CUDA C++ to a folder: `cuda_sources DIR`.

use std::path::PathBuf;

use ratdata_gpu::definition::cuda_sources;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or("cuda_sources DIR")?;
    std::fs::create_dir_all(&folder)?;
    for source in cuda_sources()? {
        std::fs::write(folder.join(format!("{}.cu", source.name)), source.text)?;
    }
    Ok(())
}
