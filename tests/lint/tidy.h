/* For clang-tidy alone: functions of ours that always return false, so that it does not follow paths on which a failure is a success. */
#include "base/error.h"
#include "config/mapping.h"

#define error_set(...) ((void)error_set(__VA_ARGS__), false)
#define error_errno(...) ((void)error_errno(__VA_ARGS__), false)
#define error_prefix(...) ((void)error_prefix(__VA_ARGS__), false)
#define mapping_fault(...) ((void)mapping_fault(__VA_ARGS__), false)
