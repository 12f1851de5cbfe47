// Loaded models: how they are made and run.
#pragma once

#include "world.h"

namespace ascend_sim {

inline constexpr const char* kGearInput = "ascend_mbatch_shape_data";

struct LoadRequest {
  std::string path;              // or
  const void* memory = nullptr;  // the file's bytes
  size_t size = 0;
  void* work = nullptr;
  void* weight = nullptr;
  size_t work_size = 0, weight_size = 0;
  // the library allocates what was not given
  bool own_memory = true;
  // of external weights; "": "weight" beside the file
  std::string weight_folder;
};

aclError load_model(const LoadRequest& request, uint32_t* id);
aclError read_info(const LoadRequest& request, OmInfo& info, onnx::ModelProto* model);

// The shapes of the outputs at each gear (one where there are none). Throws OpError.
std::vector<std::vector<Shape>> shapes_of_outputs(const OmInfo& info, const onnx::ModelProto& model);

// Runs on the bytes of the inputs and outputs. Throws OpError.
void run_model(const Model& model, size_t gear, const std::vector<const std::byte*>& inputs,
               const std::vector<std::byte*>& outputs);

int acl_type(int onnx_type);

}  // namespace ascend_sim

struct aclmdlDesc {
  uint32_t id = 0;  // 0: of a file
  ascend_sim::OmInfo info;
  std::vector<std::vector<ascend_sim::Shape>> output_shapes;
};
struct aclDataBuffer {
  void* data;
  size_t size;
};
struct aclTensorDesc {
  int type, format;
  ascend_sim::Shape dims;
};
struct aclmdlDataset {
  std::vector<aclDataBuffer*> buffers;
  std::vector<aclTensorDesc*> descs;
  int64_t gear = -1;        // set for the next run
  uint32_t gear_model = 0;  // of this model
};
