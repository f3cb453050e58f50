"""LoRA files for tests: valid, and as large as wanted."""

import hashlib
from dataclasses import replace

import numpy as np
from safetensors.numpy import save

from storage import job_store
from storage.blob_store import LocalBlobs, artifact_key
from storage.database import Database
from storage.job import Artifact, Job

NAME = "lora_unet_mid_block_attentions_0_proj_in"


def weights(rank: int = 32, wide: int = 512, trigger: str = "mochix") -> bytes:
    """Its change lies mostly in a few directions, like a trained one's. 4 * rank * wide bytes."""
    dice = np.random.default_rng(3)
    falling = np.exp(-np.arange(rank) / 3)
    tensors = {
        f"{NAME}.lora_down.weight": dice.normal(size=(rank, wide)).astype(np.float16),
        f"{NAME}.lora_up.weight": (dice.normal(size=(wide, rank)) * falling).astype(np.float16),
        f"{NAME}.alpha": np.array(float(rank), dtype=np.float16),
    }
    data = save(tensors)
    digest = hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()
    return save(tensors, {"modelspec.trigger_phrase": trigger, "sshs_model_hash": digest})


async def publish(database: Database, blobs: LocalBlobs, job: Job, data: bytes) -> Job:
    """The job's row, with the file where its worker would have put it."""
    key = artifact_key(job.id, 1, f"{job.name}.safetensors")
    await blobs.put(key, data)
    made = Artifact(
        key=key,
        sha256=hashlib.sha256(data).hexdigest(),
        file_bytes=len(data),
        name=f"{job.name}.safetensors",
    )
    job = replace(job, artifact=made)
    async with database.write() as tx:
        await job_store.add(tx, job)
    return job
