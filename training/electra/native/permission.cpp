// Linux gives a process the registers of AMX only when it asks (Documentation/arch/x86/xstate.rst).

#include <sys/syscall.h>
#include <unistd.h>

extern "C" int electra_request_tiles() {
  constexpr long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}
