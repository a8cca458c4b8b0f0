"""What a user of tritonclient writes; run in an environment that has it, and nothing of ours.

triton_client.py URL MODEL IN.npy OUT.npz
"""

import sys
from threading import Semaphore

import numpy as np
import tritonclient.grpc as triton

AT_ONCE = 4


def main(url: str, model: str, given: str, came: str) -> None:
    """Ask for what the model makes of an array: once, several times at once, and wrongly."""
    array = np.load(given)
    with triton.InferenceServerClient(url) as client:
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
