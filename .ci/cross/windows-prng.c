/* bcryptprimitives.dll for Wine 8, which has none. Rust's std takes its random numbers from there, by this function. */

#include <windows.h>

/* RtlGenRandom by its real name; at most ULONG_MAX bytes at a time. */
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) {
    const ULONG most = 1 << 20;
    while (length > 0) {
        ULONG piece = length < most ? (ULONG)length : most;
        if (!SystemFunction036(buffer, piece))
            return FALSE;
        buffer += piece;
        length -= piece;
    }
    return TRUE;
}
