namespace WebSample.Demo;

internal static class DemoServiceCollectionExtensions
{
    /// <summary>Adds what fills the shops of the demo and says what to try.</summary>
    public static IServiceCollection AddDemo(this IServiceCollection services, IConfiguration configuration) =>
        services
            .Configure<DemoVolume>(configuration.GetSection("Demo"))
            .AddSingleton<ShopImport>()
            .AddHostedService<DemoData>()
            .AddHostedService<Welcome>();
}
