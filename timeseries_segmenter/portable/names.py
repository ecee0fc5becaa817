"""What the files of a portable model are called."""

MODEL = "model.json"
ARRAYS = "arrays.npz"
PROGRAM = "predict.pyz"
README = "README.md"
FORMAT = 1
OPSET = 17  # of ONNX
ARRAY = "array"  # the key of what stands for an array in MODEL: its name in ARRAYS
