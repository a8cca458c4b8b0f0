"""What a user of tritonclient writes; run in an environment that has it, and nothing of ours.

triton_client.py URL MODEL IN.npy OUT.npz [CERTS]
"""

import sys
from functools import partial
from pathlib import Path
from threading import Semaphore

import numpy as np
import tritonclient.grpc as triton

AT_ONCE = 4


def opened(url: str, certs: str) -> triton.InferenceServerClient:
    """A client, with the certificate and the token of a folder, if that is told."""
    if not certs:
        return triton.InferenceServerClient(url)
    folder = Path(certs)
    client = triton.InferenceServerClient(
        url,
        ssl=True,
        root_certificates=str(folder / "ca.pem"),
        certificate_chain=str(folder / "client.pem"),
        private_key=str(folder / "client.key"),
    )
    token = (folder / "token").read_text().strip()
    for name in (
        *("is_server_live", "is_server_ready", "is_model_ready"),
        *("get_model_metadata", "infer", "async_infer"),
    ):
        bearing = partial(getattr(client, name), headers={"authorization": f"Bearer {token}"})
        setattr(client, name, bearing)
    return client


def main(url: str, model: str, given: str, came: str, certs: str = "") -> None:
    """Ask for what the model makes of an array: once, several times at once, and wrongly."""
    array = np.load(given)
    with opened(url, certs) as client:
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready(model) and not client.is_model_ready("another")
        told = client.get_model_metadata(model)
        [takes], names = told.inputs, [one.name for one in told.outputs]
        tensor = triton.InferInput(takes.name, array.shape, takes.datatype)
        tensor.set_data_from_numpy(array)
        answer = client.infer(model, [tensor])
        outputs = {name: answer.as_numpy(name) for name in names}
        assert [[*outputs[one.name].shape] for one in told.outputs] == [
            [*one.shape] for one in told.outputs
        ]
        answers, done = [], Semaphore(0)

        def take(result: triton.InferResult, error: Exception | None) -> None:
            answers.append((result, error))
            done.release()

        wanted = [triton.InferRequestedOutput(names[-1])]
        for _ in range(AT_ONCE):
            client.async_infer(model, [tensor], take, outputs=wanted)
        for _ in range(AT_ONCE):
            done.acquire()
        for result, error in answers:
            assert error is None, error
            assert np.array_equal(result.as_numpy(names[-1]), outputs[names[-1]])
        try:
            client.infer("another", [tensor])
        except triton.InferenceServerException as error:
            print(error.message())
    np.savez(came, **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
