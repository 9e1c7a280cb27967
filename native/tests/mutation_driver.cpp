extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long); int main(){}
