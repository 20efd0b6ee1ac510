using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Microsoft.EntityFrameworkCore.Metadata.Conventions;
using Microsoft.EntityFrameworkCore.Metadata.Conventions.Infrastructure;

namespace NeoCommons.EfCore;

/// <summary>Gives a model of QualifiedNames its schema, for everything that names none.</summary>
/// <remarks>
/// In the running application only: a migration that is added at design time is the same for both bindings. A compiled
/// model is one of the running application, though EF's tool makes it.
/// </remarks>
internal sealed class PlaceholderSchema(IDbContextOptions options) : IConventionSetPlugin, IModelInitializedConvention
{
    private static readonly bool MakesCompiledModel =
        EF.IsDesignTime && Environment.GetCommandLineArgs().AsSpan().IndexOf(["dbcontext", "optimize"]) >= 0;

    public ConventionSet ModifyConventions(ConventionSet conventionSet)
    {
        var settings = options.FindExtension<TenantOptionsExtension>()!.Settings;
        if (settings.Binding == SchemaBinding.QualifiedNames && (!EF.IsDesignTime || MakesCompiledModel))
        {
            conventionSet.ModelInitializedConventions.Add(this);
        }

        return conventionSet;
    }

    public void ProcessModelInitialized(
        IConventionModelBuilder modelBuilder,
        IConventionContext<IConventionModelBuilder> context
    ) => modelBuilder.HasDefaultSchema(SchemaName.Placeholder);
}
